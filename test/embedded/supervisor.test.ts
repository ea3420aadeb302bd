import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { ensureBuild } from '../support/build.js';
import { acquireTemporal, createTestDatabase } from '../support/stack.js';

const program = fileURLToPath(new URL('./fixtures/supervise.mjs', import.meta.url));
const freePorts = {
  TENURE_PORT: '0',
  TENURE_POSTGRES_PORT: '0',
  TENURE_TEMPORAL_PORT: '0',
  TENURE_TEMPORAL_UI_PORT: '0',
  // The same on every machine; the real ones have a test of their own.
  TENURE_SANDBOX: 'embedded',
};

/** A supervisor in a process of its own and what it said so far. */
class Supervisor {
  readonly child: ChildProcess;
  output = '';

  constructor(home: string, env: Record<string, string> = {}, args: readonly string[] = []) {
    this.child = spawn(process.execPath, [program, ...args], {
      env: { ...process.env, NODE_OPTIONS: '', TENURE_HOME: home, ...freePorts, ...env },
    });
    this.child.stdout?.on('data', (chunk) => (this.output += String(chunk)));
    this.child.stderr?.on('data', (chunk) => (this.output += String(chunk)));
  }

  async says(text: string | RegExp): Promise<this> {
    await until(
      () => this.output.match(text) !== null || this.child.exitCode !== null,
      () => this.output,
    );
    expect(this.output).toMatch(text);
    return this;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const exit = new Promise((resolve) => this.child.once('exit', resolve));
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      await exit;
    }
  }
}

describe('the supervisor', () => {
  let home: string;
  const all: Supervisor[] = [];
  const supervise = (env?: Record<string, string>, args?: readonly string[]) => {
    const one = new Supervisor(home, env, args);
    all.push(one);
    return one;
  };

  beforeAll(async () => {
    await ensureBuild();
    home = await mkdtemp(join(tmpdir(), 'tenure-home-'));
    await chmod(home, 0o711);
  });

  afterAll(async () => {
    for (const one of all) await one.end('SIGTERM');
    await rm(home, { recursive: true, force: true });
  });

  it('starts everything in order, tells nobody but the owner where, and refuses a second one on the same home', async () => {
    await supervise().says('up\n');
    const notes = (await readFile(join(home, 'notes.txt'), 'utf8')).split('\n');
    expect(notes.filter((line) => line.endsWith('started'))).toEqual([
      'targets started',
      'api started',
      'worker started',
    ]);
    expect(notes).toContain('worker sees from-targets owner=false');
    for (const file of [
      'run.json',
      'master.key',
      'report.key',
      'sandbox-token',
      'roles.json',
      'children.json',
      'temporal.db',
    ]) {
      expect((await stat(join(home, file))).mode & 0o777).toBe(0o600);
    }
    const run = await runInfo(home);
    expect(run).toMatchObject({
      api: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]/),
      token: expect.any(String),
    });
    expect(await query(run.postgresUrl, 'show fsync')).toEqual([{ fsync: 'on' }]);

    await supervise().says(/refused: Tenure already runs with the folder .* Stop it with Ctrl-C/);
  });

  it.each(['postgres', 'temporal', 'api', 'worker', 'targets'])('starts %s again after kill -9', async (name) => {
    const [supervisor] = all;
    const before = await marks(home);
    const victim = before[name]?.pid;
    if (victim === undefined) throw new Error(`${name} does not run`);
    process.kill(victim, 'SIGKILL');
    await until(
      async () => ((await marks(home))[name]?.pid ?? victim) !== victim,
      () => supervisor?.output ?? '',
    );
    await supervisor?.says(/ended unexpectedly; starting it again/);
    const after = await marks(home);
    for (const other of Object.keys(before).filter((key) => key !== name)) expect(after[other]).toEqual(before[other]);
    if (name === 'postgres')
      expect(await query((await runInfo(home)).postgresUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('leaves survivors when it is killed alone; the next start stops them and keeps the data and the ports', async () => {
    const before = await runInfo(home);
    await query(before.postgresUrl, 'create table kept as select 7 as seven');
    const old = await marks(home);
    await all[0]?.end('SIGKILL');
    const second = await supervise().says('up\n');
    expect(await isAlive(old['postgres']?.pid)).toBe(false);
    expect(await isAlive(old['temporal']?.pid)).toBe(false);
    expect(await readFile(join(home, 'notes.txt'), 'utf8')).toMatch(/worker orphaned/);
    expect(await runInfo(home)).toMatchObject({ api: before.api, temporalAddress: before.temporalAddress });
    expect(await query(before.postgresUrl, 'select seven from kept')).toEqual([{ seven: 7 }]);

    await second.end('SIGTERM');
    expect(second.child.exitCode).toBe(0);
    expect(await readdir(home)).not.toContain('supervisor.json');
    const notes = (await readFile(join(home, 'notes.txt'), 'utf8')).trimEnd().split('\n');
    expect(notes.slice(-3)).toEqual(['worker stopped', 'api stopped', 'targets stopped']);
    expect(await readdir(home)).not.toContain('run.json');
    for (const mark of Object.values(await marks(home))) expect(await isAlive(mark?.pid)).toBe(false);
  });

  it('everything killed at once: the next start comes up on the same data; --fresh empties only what is ours', async () => {
    const first = await supervise().says('up\n');
    const all = Object.values(await marks(home));
    await first.end('SIGKILL');
    for (const mark of all) if (mark !== undefined && (await isAlive(mark.pid))) process.kill(mark.pid, 'SIGKILL');
    const second = await supervise().says('up\n');
    expect(await query((await runInfo(home)).postgresUrl, 'select seven from kept')).toEqual([{ seven: 7 }]);
    await second.end('SIGKILL');

    await writeFile(join(home, 'notes-of-the-user.txt'), 'keep me');
    const third = await supervise({}, ['--fresh']).says('up\n');
    await expect(query((await runInfo(home)).postgresUrl, 'select seven from kept')).rejects.toThrow(/does not exist/);
    expect(await readFile(join(home, 'notes-of-the-user.txt'), 'utf8')).toBe('keep me');
    await third.end('SIGTERM');
  });

  it.each(['TENURE_PORT', 'TENURE_POSTGRES_PORT', 'TENURE_TEMPORAL_PORT'])(
    'names a taken port and %s',
    async (variable) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      try {
        const refused = await supervise({ [variable]: String(port) }).says(/refused:/);
        expect(refused.output).toContain(
          `refused: Port ${port} is already used by another program. Set ${variable} to another port, or to 0`,
        );
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    },
  );

  it('starts on a Temporal file that a crash left without its tables', async () => {
    for (const suffix of ['-wal', '-shm']) await rm(join(home, `temporal.db${suffix}`), { force: true });
    await writeFile(join(home, 'temporal.db'), '');
    const supervisor = await supervise().says('up\n');
    await supervisor.end('SIGTERM');
  });

  it('says what to do when Temporal’s program is missing or home cannot be written', async () => {
    await supervise({ TEMPORAL_CLI_PATH: '/nowhere/temporal' }).says(
      /TEMPORAL_CLI_PATH names \/nowhere\/temporal, which is not/,
    );
    const file = join(home, 'a-file');
    await writeFile(file, '');
    await supervise({ TENURE_HOME: join(file, 'below') }).says(/cannot be written\. Make the folder writable/);
    expect(await isAlive((await marks(home))['postgres']?.pid)).toBe(false);
  });

  it('uses the Postgres and the Temporal that were brought, and starts none of its own', async () => {
    const database = await createTestDatabase();
    const { address } = await acquireTemporal();
    const env = {
      TENURE_DATABASE_URL: database.owner,
      TENURE_DATABASE_APP_URL: database.app,
      TENURE_DATABASE_AUDITOR_URL: database.auditor,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: `brought-${randomUUID()}`,
    };
    const supervisor = await supervise(env).says('up\n');
    expect(supervisor.output).not.toMatch(/Postgres ready|Temporal ready/);
    expect(Object.keys(await marks(home)).sort()).toEqual(['api', 'targets', 'worker']);
    const run = await runInfo(home);
    expect(run).toMatchObject({ postgresUrl: database.owner, temporalAddress: address });
    expect(run).not.toHaveProperty('temporalUi');
    await supervisor.end('SIGTERM');
    expect(await query(database.owner, 'select 1 as one')).toEqual([{ one: 1 }]);
    await database.drop();
  });
});

async function marks(home: string): Promise<Record<string, { readonly pid: number } | undefined>> {
  const text = await readFile(join(home, 'children.json'), 'utf8').catch(() => '{}');
  return JSON.parse(text) as Record<string, { readonly pid: number }>;
}

async function runInfo(home: string): Promise<Record<'api' | 'token' | 'postgresUrl' | 'temporalAddress', string>> {
  return JSON.parse(await readFile(join(home, 'run.json'), 'utf8')) as Awaited<ReturnType<typeof runInfo>>;
}

async function isAlive(pid: number | undefined): Promise<boolean> {
  if (pid === undefined) return false;
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return state !== '' && !/\) Z /.test(state);
}

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString });
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function until(test: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  for (let waited = 0; !(await test()); waited += 50) {
    if (waited > 45_000) throw new Error(`waited in vain; so far:\n${explain()}`);
    await delay(50);
  }
}
