import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.js';
import { publicKeysSchema } from '../report/signature.js';
import type { PublicKeys } from '../report/signature.js';
import { CliError, EXIT } from './exit.js';
import type { ExitCode } from './exit.js';

const TIMEOUT_MS = 60_000;
/** Longer than the server keeps a stream open. */
const STREAM_MS = 15 * 60_000;
const runSchema = z.looseObject({ api: z.string(), token: z.string() });
const runKeysSchema = z.looseObject({ reportKeys: publicKeysSchema });
const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string(), expected: z.string() })).optional(),
});

export interface Target {
  readonly url: string;
  readonly token: string;
}

/** Address and token: from the command line, else from the environment, else from the run.json of a stack that is up. */
export function findTarget(config: Config, given: { readonly url?: string; readonly token?: string }): Target {
  const url = given.url ?? config.client.url;
  const token = given.token ?? config.client.token;
  if (url !== undefined && token !== undefined) return { url: trimmed(url), token };
  const run = readRun(join(config.home, 'run.json'));
  if (run === undefined)
    throw new CliError(
      EXIT.unreachable,
      `No server is named and none runs in ${config.home}: start one with npm start, or give --url and --token (TENURE_URL, TENURE_TOKEN).`,
    );
  // The sandbox's token belongs to the sandbox: it is not shown to another server.
  if (url !== undefined && trimmed(url) !== trimmed(run.api))
    throw new CliError(EXIT.usage, 'This server needs a token of its own: give --token or TENURE_TOKEN.');
  return { url: trimmed(url ?? run.api), token: token ?? run.token };
}

function readRun(path: string): z.infer<typeof runSchema> | undefined {
  try {
    return runSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** The public keys of the stack that runs in this home; undefined when none does. Reads a file and asks nobody. */
export function findPublicKeys(config: Config): PublicKeys | undefined {
  try {
    return runKeysSchema.parse(JSON.parse(readFileSync(join(config.home, 'run.json'), 'utf8'))).reportKeys;
  } catch {
    return undefined;
  }
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, '');
}

/** The API over HTTP. Raises CliError with the exit code that a problem stands for. */
export class ApiClient {
  constructor(private readonly target: Target) {}

  get<T = unknown>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  /** The answer as it is, byte for byte. */
  async text(path: string): Promise<string> {
    const response = await this.#fetch('GET', path, undefined, { accept: '*/*' });
    const text = await response.text();
    if (!response.ok) throw problemError(response.status, text);
    return text;
  }

  post<T = unknown>(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<T> {
    return this.#call<T>('POST', path, body, headers);
  }

  put<T = unknown>(path: string, body: unknown): Promise<T> {
    return this.#call<T>('PUT', path, body);
  }

  delete<T = unknown>(path: string, body: unknown): Promise<T> {
    return this.#call<T>('DELETE', path, body);
  }

  /** Server-sent events until the server ends the stream, or it breaks after it had begun: call again with the last id. */
  async *events(path: string, lastId?: string): AsyncGenerator<{ readonly id: string; readonly data: string }> {
    const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
    const response = await this.#fetch('GET', path, undefined, headers, STREAM_MS);
    if (!response.ok) throw problemError(response.status, await response.text());
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const id = /^id: (.*)$/m.exec(block)?.[1];
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (id !== undefined && data !== undefined) yield { id, data };
        }
      }
    } catch {
      return;
    }
  }

  /** All pages of a list, up to `max` items. */
  async list<T>(path: string, max: number): Promise<readonly T[]> {
    const items: T[] = [];
    let after: string | null = null;
    do {
      const limit = Math.min(200, max - items.length);
      const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`;
      const page: { items: T[]; next: string | null } = await this.get(path + query);
      items.push(...page.items);
      after = page.next;
    } while (after !== null && items.length < max);
    return items;
  }

  async #call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await this.#fetch(method, path, body, headers);
    const text = await response.text();
    if (!response.ok) throw problemError(response.status, text);
    return JSON.parse(text) as T;
  }

  async #fetch(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Response> {
    try {
      return await fetch(this.target.url + path, {
        method,
        headers: {
          authorization: `Bearer ${this.target.token}`,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (error) {
      const reason =
        error instanceof Error && error.name === 'TimeoutError' ? 'did not answer in time' : 'cannot be reached';
      throw new CliError(EXIT.unreachable, `The server at ${this.target.url} ${reason}.`);
    }
  }
}

function problemError(status: number, text: string): CliError {
  const parsed = problemSchema.safeParse(readJson(text));
  if (!parsed.success) return new CliError(EXIT.failure, `The server answered ${status}; is it a Tenure server?`);
  const { title, detail, errors } = parsed.data;
  const fields = (errors ?? []).map(
    (one) => `  ${one.path === '' ? '' : `${one.path}: `}${one.message}; expected ${one.expected}`,
  );
  return new CliError(exitCodeOf(status), [detail === undefined ? title : `${title} ${detail}`, ...fields].join('\n'));
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404) return EXIT.notFound;
  if (status === 400 || status === 413 || status === 415) return EXIT.usage;
  if (status === 503) return EXIT.unreachable;
  return status < 500 ? EXIT.refused : EXIT.failure;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
