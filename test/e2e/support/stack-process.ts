import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunInfo } from '../../../src/embedded/supervisor.js';

const program = fileURLToPath(new URL('../fixtures/start.mjs', import.meta.url));
const freePorts = {
  TENURE_PORT: '0',
  TENURE_POSTGRES_PORT: '0',
  TENURE_TEMPORAL_PORT: '0',
  TENURE_TEMPORAL_UI_PORT: '0',
};

export type ChildName = 'api' | 'worker' | 'temporal' | 'postgres' | 'targets';

/** A home of its own for the whole stack, and the runs on it. */
export class Home {
  readonly #runs: Run[] = [];

  private constructor(
    readonly folder: string,
    private readonly systems: 'auto' | 'embedded',
  ) {}

  static async make(systems: 'auto' | 'embedded' = 'embedded'): Promise<Home> {
    const folder = await mkdtemp(join(tmpdir(), 'tenure-e2e-'));
    await chmod(folder, 0o711);
    return new Home(folder, systems);
  }

  /** Starts the real stack with the story, as `npm start -- ARGS` does. */
  start(...args: string[]): Run {
    const run = new Run(this.folder, this.systems, args);
    this.#runs.push(run);
    return run;
  }

  /** Ends what still runs, survivors of a crash included, and removes the folder. */
  async remove(): Promise<void> {
    for (const run of this.#runs) await run.end('SIGTERM');
    for (const pid of Object.values(await this.pids())) killOurs(pid, this.folder, await commandOf(pid));
    await rm(this.folder, { recursive: true, force: true });
  }

  async pids(): Promise<Readonly<Partial<Record<ChildName, number>>>> {
    const text = await readFile(join(this.folder, 'children.json'), 'utf8').catch(() => '{}');
    const marks = JSON.parse(text) as Record<string, { readonly pid: number }>;
    return Object.fromEntries(Object.entries(marks).map(([name, mark]) => [name, mark.pid]));
  }

  async info(): Promise<RunInfo> {
    return JSON.parse(await readFile(join(this.folder, 'run.json'), 'utf8')) as RunInfo;
  }
}

/** Databases are known by their folder in the command line; the Node children end by themselves. */
function killOurs(pid: number, folder: string, command: string): void {
  if (command.includes(folder)) process.kill(pid, 'SIGKILL');
}

async function commandOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
}

/** One start of the stack, and what it said so far. */
export class Run {
  readonly child: ChildProcess;
  output = '';
  readonly #ended: Promise<number | null>;

  constructor(home: string, systems: 'auto' | 'embedded', args: readonly string[]) {
    this.child = spawn(process.execPath, [program, ...args], {
      env: { ...process.env, NODE_OPTIONS: '', TENURE_HOME: home, TENURE_SANDBOX: systems, ...freePorts },
      // Over the channel it hears of our end, should jest be killed.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  /** Waits until it has said something; fails with all it said when it ends before that, or takes too long. */
  async says(text: string, withinMs = 180_000): Promise<void> {
    const until = Date.now() + withinMs;
    while (!this.output.includes(text)) {
      if (this.hasEnded || Date.now() > until) throw new Error(`never said "${text}":\n${this.output}`);
      await delay(20);
    }
  }

  /** The exit code, when it ends by itself. */
  async exits(withinMs = 240_000): Promise<number | null> {
    const late = new AbortController();
    const code = await Promise.race([
      this.#ended,
      delay(withinMs, 'late' as const, { signal: late.signal }).catch(() => 'late' as const),
    ]);
    late.abort();
    if (code === 'late') throw new Error(`did not end:\n${this.output}`);
    return code;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.hasEnded) this.child.kill(signal);
    return this.#ended;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}
