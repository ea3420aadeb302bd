import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { ConnectorLogger } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { killTree, startChild } from './child.js';
import { LineReader } from './line-reader.js';
import type { Answer, HostRequest, Ready } from './protocol.js';
import { encodeRequest, parseAnswer, parseReady } from './protocol.js';
import { hostFunctions } from './script-sets.js';

export interface SessionOptions {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly scripts: string;
  /** The allow-list, handed to the host as well. */
  readonly allowed: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, Secret>>;
  readonly startTimeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly logger: ConnectorLogger;
}

export interface Ask {
  readonly operation: string;
  readonly isWrite: boolean;
  readonly signal: AbortSignal;
  /** Awaited before the first byte of a write; what it throws passes through. */
  readonly sentMarker?: (() => Promise<void>) | undefined;
}

/** Lines before the ready line: banners, profiles, a message of the day. */
const NOISE_LINES = 1000;
const CLOSE_GRACE_MS = 2000;

/**
 * One host process that is kept and reused: a line with a request, a line with its answer, one at a time. Whatever is not that (another
 * line, the end, a time-out, a cancel) ends the session and all its processes; a write under way is AMBIGUOUS then.
 */
export class Session {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: LineReader;
  readonly #options: SessionOptions;
  readonly #ended: Promise<void>;
  #ready: Ready | undefined;
  #asked = 0;
  #over = false;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#child = startChild(options.command, options.environment);
    this.#lines = new LineReader(options.maxAnswerBytes);
    this.#ended = this.#watch();
  }

  /** Starts a host, waits for its ready line, and opens its connection. Throws UNAVAILABLE, TIMEOUT or what the scripts say; never sent. */
  static async open(options: SessionOptions, operation: string, signal: AbortSignal): Promise<Session> {
    const session = new Session(options);
    try {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(options.startTimeoutMs)]);
      session.#ready = await session.#untilReady(operation, inTime);
      const { allowed, settings, secrets } = options;
      const request = { command: hostFunctions.open, arguments: { allowed, settings }, secrets };
      await session.ask(request, { operation, isWrite: false, signal: inTime });
      return session;
    } catch (error) {
      session.kill();
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get functions(): readonly string[] {
    return this.#ready?.functions ?? [];
  }

  /** Requests answered or tried, the opening one included. */
  get asked(): number {
    return this.#asked;
  }

  get isUsable(): boolean {
    return !this.#over && this.#child.exitCode === null && this.#child.signalCode === null && !this.#lines.isBroken;
  }

  /** Resolves when the host has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Asks once. The function's own errors leave the session usable. */
  async ask(request: HostRequest, how: Ask): Promise<unknown> {
    const { operation, isWrite, signal } = how;
    if (signal.aborted) throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
    if (isWrite) await how.sentMarker?.();
    if (signal.aborted) throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
    if (!this.isUsable) throw this.#gone(operation, false);
    this.#asked += 1;
    const id = String(this.#asked);
    this.#child.stdin.write(encodeRequest(id, request));
    const answer = await this.#answer(id, how);
    if (answer.ok) return answer.result;
    throw errorOf(answer.error, operation, isWrite);
  }

  async #answer(id: string, { operation, isWrite, signal }: Ask): Promise<Answer> {
    const taken = await this.#lines.next(signal);
    const answer = taken.line === undefined ? undefined : parseAnswer(taken.line, id);
    if (answer !== undefined) return answer;
    this.kill();
    if (taken.line !== undefined) {
      const code = isWrite ? 'AMBIGUOUS' : 'UNAVAILABLE';
      throw new ConnectorError({ code, operation, sent: isWrite, targetCode: 'no-answer-line' });
    }
    if (taken.why === 'time') {
      throw new ConnectorError({ code: isWrite ? 'AMBIGUOUS' : 'TIMEOUT', operation, sent: isWrite });
    }
    throw this.#gone(operation, isWrite, taken.why);
  }

  async #untilReady(operation: string, signal: AbortSignal): Promise<Ready> {
    for (let noise = 0; noise < NOISE_LINES; noise += 1) {
      const taken = await this.#lines.next(signal);
      if (taken.line === undefined) {
        if (taken.why === 'time') throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
        throw this.#gone(operation, false, taken.why);
      }
      const ready = parseReady(taken.line);
      if (ready?.scripts === this.#options.scripts) return ready;
      if (ready !== undefined) throw this.#gone(operation, false, 'other-scripts');
    }
    throw this.#gone(operation, false, 'no-ready-line');
  }

  #gone(operation: string, sent: boolean, why = 'host-gone'): ConnectorError {
    const { exitCode } = this.#child;
    const targetCode = why === 'host-gone' && exitCode !== null ? `host-exit-${exitCode}` : why;
    return new ConnectorError({ code: sent ? 'AMBIGUOUS' : 'UNAVAILABLE', operation, sent, targetCode });
  }

  /** Ends everything at once. */
  kill(): void {
    this.#over = true;
    killTree(this.#child);
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  /** Lets the host say good-bye to its target: its input ends, and after two seconds it is killed. */
  async close(): Promise<void> {
    this.#over = true;
    this.#child.stdin.end();
    const late = setTimeout(() => this.kill(), CLOSE_GRACE_MS);
    await this.#ended;
    clearTimeout(late);
  }

  #watch(): Promise<void> {
    const child = this.#child;
    const { logger } = this.#options;
    let complaints = 0;
    child.stdout.on('data', (bytes: Buffer) => this.#lines.feed(bytes));
    // What a host complains of may name people and hold secrets: it is counted, and never kept.
    child.stderr.on('data', (bytes: Buffer) => (complaints += bytes.length));
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => undefined);
    // Answers that came before the end are in the pipe still: readers are told only when it is empty.
    child.stdout.on('close', () => this.#lines.end('host-gone'));
    return new Promise((resolve) => {
      child.on('error', (error: NodeJS.ErrnoException) => {
        this.#lines.end(`host-${error.code ?? 'error'}`);
        if (child.pid === undefined) resolve();
      });
      child.on('exit', (exitCode, signal) => {
        // What the host left behind would keep its pipes open.
        killTree(child);
        if (complaints > 0) logger.debug({ pid: child.pid, exitCode, signal, stderrBytes: complaints }, 'host ended');
        resolve();
      });
    });
  }
}

/** What a script says of a write that it cannot judge is AMBIGUOUS, unless it knows that nothing was written. */
function errorOf(
  { code, targetCode, attribute, retryAfterMs, sent }: Extract<Answer, { ok: false }>['error'],
  operation: string,
  isWrite: boolean,
): ConnectorError {
  const mayHaveWritten = isWrite && sent !== false;
  const isUnclear = code === 'UNAVAILABLE' || code === 'TIMEOUT' || code === 'AMBIGUOUS';
  const readCode = code === 'AMBIGUOUS' ? 'UNAVAILABLE' : code;
  return new ConnectorError({
    code: mayHaveWritten && isUnclear ? 'AMBIGUOUS' : readCode,
    operation,
    sent: mayHaveWritten,
    targetCode: targetCode ?? undefined,
    attribute: attribute ?? undefined,
    retryAfterMs: retryAfterMs ?? undefined,
  });
}
