import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { ensureBuild } from '../support/build.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { withoutBadge } from './support/people.js';
import { atRest } from './support/rest.js';

/** Accounts that belong to somebody, and accounts that belong to nobody. */
const PEOPLE = 5;
const STRANGERS = 25;
const MANY = 10_000;

interface ImportView {
  readonly state: string;
  readonly stage: string;
  readonly pages: number;
  readonly accounts: number;
  readonly counts: Readonly<Record<string, number>> | null;
}

describe('an import whose worker is killed', () => {
  let world: World;
  let door: Awaited<ReturnType<typeof openDoor>>;
  let folder: string;
  let main: string;
  let wiki: SlowProxy;
  let worker: ChildProcess | undefined;
  const ids: IdentityId[] = [];

  beforeAll(async () => {
    main = join(await ensureBuild(), 'build', 'src', 'worker', 'main.js');
    world = await createWorld({ policy: withoutBadge });
    door = await openDoor(world);
    for (let n = 0; n < PEOPLE; n += 1) ids.push(identityOf(await world.hr(hire(world, `ic${n}`))));
    await atRest(world, ids, 90_000);
    // From here on the worker is a process of its own.
    await world.stopWorkers();
    folder = mkdtempSync(join(tmpdir(), 'tenure-import-'));
    const policy = await world.deps.policies.active(world.deps.db);
    for (const file of policy?.files ?? []) {
      mkdirSync(dirname(join(folder, file.path)), { recursive: true });
      writeFileSync(join(folder, file.path), file.text);
    }
    wiki = await startSlowProxy(world.wiki.url);
    for (const [n, id] of ids.entries()) await account(`owned-${n}`, { externalId: id });
    for (let n = 0; n < STRANGERS; n += 1) await account(`stranger-${n}`);
  }, 240_000);
  afterAll(async () => {
    await kill();
    await door?.app.close();
    await wiki?.stop();
    await world?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  async function account(userName: string, more: object = {}): Promise<void> {
    const response = await fetch(`${world.wiki.scimUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
        userName,
        active: true,
        ...more,
      }),
    });
    if (response.status !== 201) throw new Error(`${userName}: ${response.status}`);
  }

  async function startWorker(): Promise<void> {
    const child = fork(main, [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {
        ...world.workerEnvironment,
        TENURE_SANDBOX_WIKI_URL: `${wiki.url}/scim/v2`,
        TENURE_POLICY_DIR: folder,
        TENURE_HOME: folder,
        TENURE_LOG_LEVEL: 'silent',
        PATH: process.env['PATH'] ?? '',
      },
    });
    worker = child;
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error('the worker ended'))),
    ]);
  }
  /** No goodbye: what it was doing ends where it was. */
  async function kill(): Promise<void> {
    const child = worker;
    worker = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  const headers = () => ({ authorization: `Bearer ${door.token}`, 'content-type': 'application/json' });
  async function begin(application: string, body: object): Promise<string> {
    const url = `${door.url}/v1/applications/${application}/imports`;
    const response = await fetch(url, { method: 'POST', headers: headers(), body: JSON.stringify(body) });
    return ((await response.json()) as { importId: string }).importId;
  }
  async function view(application: string, importId: string): Promise<ImportView> {
    const url = `${door.url}/v1/applications/${application}/imports/${importId}`;
    return (await (await fetch(url, { headers: headers() })).json()) as ImportView;
  }
  const until = (application: string, importId: string, isThere: (one: ImportView) => boolean, withinMs: number) =>
    eventually(
      async () => {
        const now = await view(application, importId);
        if (isThere(now)) return now;
        throw new Error(JSON.stringify(now));
      },
      'the import',
      withinMs,
    );
  const linked = async () =>
    (
      await world.deps.db
        .selectFrom('account')
        .select('identity_id')
        .where('application', '=', 'wiki' as never)
        .where('unlinked_at', 'is', null)
        .execute()
    ).map((row) => row.identity_id);
  const audits = async () =>
    (await world.deps.db.selectFrom('audit').select('identity_id').where('action', '=', 'account.linked').execute())
      .map((row) => row.identity_id)
      .filter((id) => ids.some((one) => one === id));
  async function historyOf(importId: string): Promise<number> {
    for await (const { workflowId } of world.client.workflow.list({ query: `WorkflowType = 'importWorkflow'` })) {
      if (!workflowId.includes(importId)) continue;
      return (await world.client.workflow.getHandle(workflowId).fetchHistory()).events?.length ?? 0;
    }
    throw new Error('no such workflow');
  }

  it('while it lists and while it links: nothing is lost, listed twice or linked twice', async () => {
    wiki.slow(150);
    await startWorker();
    const importId = await begin('wiki', { link: true, pageSize: 4 });
    const before = await until('wiki', importId, (one) => one.pages >= 2, 60_000);
    expect(before.stage).toBe('listing');
    await kill();
    const { pages: kept } = await view('wiki', importId);
    wiki.slow(0);
    // Somebody holds the last of the people: the links of the others wait in their transaction.
    const holder = new pg.Client({ connectionString: world.database.admin });
    await holder.connect();
    try {
      await holder.query('begin');
      const last = [...ids].sort().at(-1);
      await holder.query('select 1 from identity where identity_id = $1 for update', [last]);
      await startWorker();
      await until('wiki', importId, (one) => one.stage === 'linking', 90_000);
      await eventually(async () => {
        const { rowCount } = await holder.query(
          `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`,
        );
        return (rowCount ?? 0) > 0 ? true : undefined;
      }, 'a link that waits');
      await kill();
      expect(await linked()).toEqual([]);
    } finally {
      await holder.query('rollback');
      await holder.end();
    }
    await startWorker();
    const done = await until('wiki', importId, (one) => one.state !== 'running', 90_000);
    expect(done).toMatchObject({ state: 'done', counts: { linkedNow: PEOPLE } });
    expect(done.accounts).toBe((await world.wiki.store.users()).length);
    expect([...(await linked())].sort()).toEqual([...ids].sort());
    expect([...(await audits())].sort()).toEqual([...ids].sort());
    expect(done.pages).toBeGreaterThan(kept);
    // One page may be read again, the one whose answer the dead worker did not live to store.
    const lists = wiki.pages().filter((page) => /[?&]count=4(&|$)/.test(page));
    expect(lists.filter((page) => page === lists[0])).toHaveLength(1);
    expect(lists.length).toBeLessThanOrEqual(done.pages + 1);
  }, 360_000);

  it(`${MANY} accounts: Temporal's history is as short as for thirty, and the worker stays small`, async () => {
    const owner = new pg.Client({ connectionString: world.erp.ownerUrl });
    await owner.connect();
    try {
      await owner.query(
        `insert into erp.accounts (login, external_id, display_name, enabled)
         select 'crowd-' || n, 'crowd-' || n, 'Somebody ' || n, true from generate_series(1, $1) n`,
        [MANY],
      );
    } finally {
      await owner.end();
    }
    await kill();
    await startWorker();
    const small = await begin('wiki', { link: true, pageSize: 10 });
    await until('wiki', small, (one) => one.state === 'done', 90_000);
    await delay(500);
    const before = peakOf(worker);
    const large = await begin('erp', { link: true, pageSize: 200 });
    const done = await until('erp', large, (one) => one.state !== 'running', 300_000);
    expect(done.state).toBe('done');
    expect(done.accounts).toBeGreaterThan(MANY);
    expect(done.pages).toBeGreaterThan(MANY / 200);
    const [short, long] = [await historyOf(small), await historyOf(large)];
    const grown = peakOf(worker) - before;
    process.stdout.write(`import of ${done.accounts}: ${long} events (${short} for thirty), peak +${grown} MiB\n`);
    expect(long).toBeLessThanOrEqual(short + 6);
    expect(grown).toBeLessThan(250);
  }, 480_000);
});

/** The most memory that a process has had, in MiB. */
function peakOf(child: ChildProcess | undefined): number {
  const [, kib = 'NaN'] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child?.pid ?? 0}/status`, 'utf8')) ?? [];
  return Math.round(Number(kib) / 1024);
}

interface SlowProxy {
  readonly url: string;
  slow(ms: number): void;
  /** The lists that were asked for, in order. */
  pages(): readonly string[];
  stop(): Promise<void>;
}

/** An HTTP proxy that lets lists of users wait. */
async function startSlowProxy(target: string): Promise<SlowProxy> {
  let waitMs = 0;
  const pages: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming;
    const isList = method === 'GET' && /\/Users\?(?!.*filter=)/.test(url);
    if (isList) pages.push(url);
    const forwarded = request(new URL(url, target), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    setTimeout(() => incoming.pipe(forwarded), isList ? waitMs : 0);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    slow: (ms) => {
      waitMs = ms;
    },
    pages: () => pages,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
