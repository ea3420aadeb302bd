import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import type { Connector } from '../../src/connectors/connector.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import { compilePolicy } from '../../src/domain/policy/compile.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually, hire, identityOf, settled } from '../support/world.js';
import type { World } from '../support/world.js';

type Loose = ReturnType<typeof JSON.parse>;

/** The shipped connectors; `pages` counts what is listed at the wiki by cursor, `gate` holds a page back until it is opened or the call is cancelled. */
const pages: (string | undefined)[] = [];
let isWikiDown = false;
let gate: { readonly at: number; readonly opened: Promise<void> } | undefined;
function watched(): ConnectorRegistry {
  const shipped = createShippedRegistry();
  return {
    ...shipped,
    create(kind, application, config, deps) {
      const inner = shipped.create(kind, application, config, deps);
      if (application !== 'wiki') return inner;
      const list: Connector['list'] = async (query, ctx) => {
        if (gate !== undefined && pages.length >= gate.at)
          await Promise.race([
            gate.opened,
            new Promise((_resolve, reject) =>
              ctx.signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))),
            ),
          ]);
        pages.push(query.cursor);
        return inner.list(query, ctx);
      };
      const health: Connector['health'] = async (ctx) =>
        isWikiDown ? { ok: false, code: 'UNAVAILABLE', latencyMs: 1 } : inner.health(ctx);
      return { ...inner, list, health };
    },
  };
}

let world: World;
let door: Awaited<ReturnType<typeof openDoor>>;
let folder: string;
const ids = new Map<string, IdentityId>();
const idOf = (person: string): string => String(ids.get(person));
const PEOPLE = ['strong', 'weak', 'twin', 'other', 'taken'];

beforeAll(async () => {
  world = await createWorld({ registry: watched() });
  door = await openDoor(world);
  folder = mkdtempSync(join(tmpdir(), 'tenure-app-'));
  for (const person of PEOPLE) {
    const id = identityOf(await world.hr(hire(world, person)));
    ids.set(person, id);
  }
  for (const id of ids.values()) await settled(world, id, (rows) => rows.some((row) => row.state === 'completed'));
}, 180_000);
afterAll(async () => {
  await door?.app.close();
  await world?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function tenure(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const variables = {
    TENURE_SANDBOX_SCIM_URL: world.directory.scimUrl,
    TENURE_SANDBOX_WIKI_URL: world.wiki.scimUrl,
    TENURE_SANDBOX_SCIM_TOKEN: world.scimToken,
    TENURE_SANDBOX_ERP_URL: world.erp.serviceUrl,
  };
  const code = await runCli(['--url', door.url, '--token', door.token, ...argv], {
    config: () => loadConfig({ TENURE_HOME: folder }, process.cwd()),
    terminal: { out: (text) => void out.push(text), err: (text) => void err.push(text), isInteractive: false },
    variables,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
async function json(...argv: string[]): Promise<Loose> {
  const ran = await tenure(...argv, '--json');
  if (ran.out === '') throw new Error(ran.err);
  return JSON.parse(ran.out);
}

/** Makes an account at the wiki behind Tenure's back. */
async function stranger(userName: string, more: object = {}): Promise<string> {
  const response = await fetch(`${world.wiki.scimUrl}/Users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
    body: JSON.stringify({ schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, active: true, ...more }),
  });
  if (response.status !== 201) throw new Error(`${userName}: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}
async function userNameOf(person: string): Promise<string> {
  const row = await world.deps.db
    .selectFrom('name_reservation')
    .select('name')
    .where('identity_id', '=', idOf(person) as IdentityId)
    .where('scope', '=', 'user-name')
    .executeTakeFirstOrThrow();
  return row.name;
}
const linkedAt = async (application: string) =>
  world.deps.db
    .selectFrom('account')
    .select(['identity_id', 'native_id'])
    .where('application', '=', application as never)
    .where('unlinked_at', 'is', null)
    .execute();
const audits = async (person: string, action: string) =>
  (
    await world.deps.db
      .selectFrom('audit')
      .select('seq')
      .where('identity_id', '=', idOf(person))
      .where('action', '=', action)
      .execute()
  ).length;

describe('tenure app test', () => {
  it('finds nothing wrong with the sample applications, from the file and from the worker', async () => {
    for (const slug of ['directory', 'erp', 'wiki']) {
      const file = await json('app', 'test', `policy/applications/${slug}.yaml`);
      expect([slug, file.findings.filter((one: Loose) => one.severity === 'error')]).toEqual([slug, []]);
      const server = await json('app', 'test', slug);
      expect([slug, server.ok]).toEqual([slug, true]);
    }
    expect((await tenure('app', 'test', 'nothing')).code).toBe(3);
  });

  it('names each mistake of a file with its line, and what the target says', async () => {
    const good = readFileSync('policy/applications/erp.yaml', 'utf8');
    const path = join(folder, 'erp.yaml');
    const lineOf = (text: string, part: string) => text.split('\n').findIndex((line) => line.includes(part)) + 1;
    const test = async (text: string): Promise<Loose> => {
      writeFileSync(path, text);
      return json('app', 'test', path);
    };
    const typo = good.replace('  costCenter: person.costCenter', '  costCentre: person.costCenter');
    expect((await test(typo)).findings).toContainEqual(
      expect.objectContaining({ code: 'unknown-attribute', line: lineOf(typo, 'costCentre') }),
    );
    const required = good.replace('  displayName: person.displayName\n', '');
    expect((await test(required)).findings.map((one: Loose) => one.code)).toContain('required-not-mapped');
    const type = good.replace(
      'costCenter: { column: cost_center, type: string }',
      'costCenter: { column: cost_center, type: number }',
    );
    expect((await test(type)).findings).toContainEqual(
      expect.objectContaining({ code: 'type-differs', line: lineOf(type, '  costCenter: person') }),
    );
    const readOnly = good.replace('cost_center, type: string }', 'cost_center, type: string, writable: false }');
    expect((await test(readOnly)).findings.map((one: Loose) => one.code)).toContain('not-writable');
    const secret = good.replace('env:TENURE_SANDBOX_ERP_URL', 'env:NOT_SET_ANYWHERE');
    expect((await test(secret)).findings).toContainEqual(
      expect.objectContaining({ code: 'secret-missing', line: lineOf(secret, 'NOT_SET') }),
    );
    const broken = await test(good.replace('mode: sync', 'mode: synch'));
    expect(broken.findings[0]).toMatchObject({ check: 'configuration', severity: 'error' });
    expect((await tenure('app', 'test', path)).code).toBe(1);
    expect((await tenure('app', 'test', join(folder, 'absent.yaml'))).code).toBe(2);
  });
});

describe('tenure app discover', () => {
  it('completes a file so that it passes the policy check, and keeps what stands there with its comments', async () => {
    const good = readFileSync('policy/applications/erp.yaml', 'utf8');
    const path = join(folder, 'found.yaml');
    const bare = good
      .slice(0, good.indexOf('mode: sync'))
      .replace('slug: erp', 'slug: found # ours')
      .replace('    mail: {', '    badgeColour: { column: department, type: string, required: true }\n    mail: {');
    writeFileSync(path, `${bare}attributes:\n  displayName: person.familyName # as they want it\n`);
    const found = await json('app', 'discover', path, '--write');
    const text = readFileSync(path, 'utf8');
    expect(found.toFillIn).toEqual(['badgeColour']);
    for (const part of [
      '# ours',
      'displayName: person.familyName # as they want it',
      '# badgeColour: CEL',
      'externalId: person.id',
    ])
      expect(text).toContain(part);
    const files = [...(await loadPolicyFiles('policy')), { path: 'applications/found.yaml', text }];
    const checked = compilePolicy(files);
    expect(checked.ok ? [] : checked.problems).toEqual([]);
    await json('app', 'discover', path, '--write');
    expect(readFileSync(path, 'utf8')).toBe(text);
  });
});

describe('tenure app import', () => {
  let strong: string;
  let weak: string;
  let twins: readonly string[];
  let orphan: string;
  const results = (view: Loose): Record<string, string> =>
    Object.fromEntries(view.items.map((one: Loose) => [one.nativeId, one.result]));

  beforeAll(async () => {
    strong = await stranger('own-name', { externalId: idOf('strong') });
    weak = await stranger(await userNameOf('weak'));
    twins = [
      await stranger('twin-a', { externalId: idOf('twin') }),
      await stranger('twin-b', { externalId: idOf('twin') }),
    ];
    orphan = await stranger('nobody-here');
    await stranger('tenure-canary').catch(() => '');
    for (let n = 0; n < 12; n += 1) await stranger(`filler-${n}`);
  });

  it('tells strong, weak, ambiguous, orphan and protected apart, and links nothing by itself', async () => {
    const view = await json('app', 'import', 'wiki', '--page-size', '5');
    expect(view).toMatchObject({ state: 'done', isComplete: true });
    const found = results(view);
    expect([found[strong], found[weak], found[orphan], ...twins.map((id) => found[id])]).toEqual([
      'strong',
      'weak',
      'orphan',
      'ambiguous',
      'ambiguous',
    ]);
    expect(Object.values(found)).toContain('protected');
    expect(view.accounts).toBe(view.items.length);
    expect(await linkedAt('wiki')).toEqual([]);
  });

  it('continues after its worker went away in the middle, from the page where it was', async () => {
    pages.length = 0;
    let open: () => void = () => undefined;
    gate = { at: 2, opened: new Promise((resolve) => (open = resolve)) };
    const running = json('app', 'import', 'wiki', '--link', '--page-size', '5');
    await eventually(async () => (pages.length >= 2 ? true : undefined), 'two pages');
    await world.stopWorkers();
    gate = undefined;
    open();
    await world.startWorkers();
    const view = await running;
    const { linkedNow } = view.counts;
    expect([view.state, linkedNow, results(view)[strong]]).toEqual(['done', 1, 'linked']);
    expect(pages.filter((cursor) => cursor === undefined)).toHaveLength(1);
    expect(view.pages).toBeGreaterThan(2);
    expect(await linkedAt('wiki')).toEqual([{ identity_id: idOf('strong'), native_id: strong }]);
    expect(await audits('strong', 'account.linked')).toBe(1);
  }, 90_000);

  it('links nothing twice, and shows a link that stands in the way', async () => {
    const taken = await stranger('taken-1', { externalId: idOf('taken') });
    await json('app', 'import', 'wiki');
    expect((await json('app', 'link', 'wiki', taken, idOf('other'))).outcome).toBe('linked');
    const view = await json('app', 'import', 'wiki', '--link');
    const item = view.items.find((one: Loose) => one.nativeId === taken);
    expect([item.result, item.code]).toEqual(['conflict', 'linked-elsewhere']);
    expect(results(view)[strong]).toBe('linked');
    expect(await linkedAt('wiki')).toHaveLength(2);
    expect(await audits('strong', 'account.linked')).toBe(1);
  });

  it('a person links a weak match, twice without effect, and takes a wrong link back', async () => {
    expect((await json('app', 'link', 'wiki', weak, idOf('weak'))).outcome).toBe('linked');
    expect((await json('app', 'link', 'wiki', weak, idOf('weak'))).outcome).toBe('already-linked');
    expect((await tenure('app', 'link', 'wiki', weak, idOf('twin'))).code).toBe(4);
    expect((await tenure('app', 'link', 'wiki', orphan, idOf('weak'))).code).toBe(4);
    expect((await json('app', 'unlink', 'wiki', weak, '--reason', 'wrong person')).outcome).toBe('unlinked');
    expect((await tenure('app', 'unlink', 'wiki', weak)).code).toBe(3);
    expect(await audits('weak', 'account.unlinked')).toBe(1);
    expect((await json('app', 'link', 'wiki', weak, idOf('weak'))).outcome).toBe('linked');
  });

  it('stages no login in clear, and drops what it staged with the next import', async () => {
    const rows = await world.deps.db.selectFrom('staged_account').selectAll().execute();
    expect(rows.length).toBeGreaterThan(10);
    expect(Buffer.concat(rows.map((row) => row.body)).includes('nobody-here')).toBe(false);
    expect(new Set(rows.map((row) => row.import_id)).size).toBe(1);
    expect(await world.deps.db.selectFrom('staged_key').select('owner').execute()).toEqual([]);
  });

  it('refuses what cannot be listed', async () => {
    expect((await tenure('app', 'import', 'badge')).code).toBe(4);
    expect((await tenure('app', 'import', 'wiki', '--page-size', 'x')).code).toBe(2);
  });
});

describe('health', () => {
  it('is one row per application, with its change', async () => {
    const run = () =>
      world.client.workflow.execute('applicationHealthWorkflow', {
        workflowId: `health-${Date.now()}`,
        taskQueue: 'lifecycle',
        args: [],
      });
    expect(await run()).toEqual({ probed: 3, failed: 0 });
    isWikiDown = true;
    expect(await run()).toEqual({ probed: 3, failed: 1 });
    const response = await fetch(`${door.url}/v1/applications`, { headers: { authorization: `Bearer ${door.token}` } });
    const { items } = (await response.json()) as Loose;
    const wiki = items.find((one: Loose) => one.application === 'wiki');
    expect(wiki.health).toMatchObject({ ok: false, code: 'UNAVAILABLE', okCount: 1, failedCount: 1 });
    expect([wiki.queue, wiki.capabilities.includes('create')]).toEqual(['application-wiki', true]);
    expect((await json('app', 'test', 'wiki')).findings[0]).toMatchObject({ check: 'health', code: 'UNAVAILABLE' });
  });
});
