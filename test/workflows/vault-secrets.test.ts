import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { pino } from 'pino';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import { createFinder } from '../privacy/markers.js';
import type { Marker } from '../privacy/markers.js';
import { scanNamespace } from '../privacy/scan-history.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { startVault, vaultBuild } from '../systems/vault.js';
import type { Vault } from '../systems/vault.js';
import { cut, joined, taskOf, tasksOf, visitsOf, withoutBadge } from './support/people.js';
import { atRest } from './support/rest.js';

const build = await vaultBuild();

const stock = `
slug: stock
name: Stock
connector: sql
config:
  url: vault:kv/tenure/stock#url
  accounts:
    table: { schema: erp, name: accounts }
    key: account_id
    login: login
    enabled: enabled
  attributes:
    externalId: { column: external_id, required: true }
    displayName: { column: display_name, required: true }
mode: sync
login: '"stock." + account.userName'
attributes:
  externalId: '"stock/" + person.id'
  displayName: person.displayName
correlation:
  strong: [externalId]
`;
const portal = (slug: string, reference: string): string => `
slug: ${slug}
name: ${slug}
connector: scim
config:
  baseUrl: env:TENURE_SANDBOX_WIKI_URL
  token: ${reference}
  groups: false
mode: sync
login: '"${slug}." + account.userName'
attributes:
  externalId: '"${slug}/" + person.id'
correlation:
  strong: [externalId]
`;
const role = (slug: string): string => `
slug: ${slug}-users
name: ${slug} users
when: employment.department == "${slug}"
grants:
  - { application: ${slug} }
`;

(build.program === undefined ? describe.skip : describe)(
  `targets whose credentials are in Vault${build.skip === undefined ? '' : ` (${build.skip})`}`,
  () => {
    let vault: Vault;
    let world: World;
    let owner: pg.Client;
    let service: string;
    const lines: string[] = [];
    const passwords: string[] = [];
    let token: string;

    beforeAll(async () => {
      vault = await startVault(build.program ?? '');
      await vault.set('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
      await vault.set('PUT', 'sys/policies/acl/tenure', {
        policy: 'path "kv/data/tenure/*" { capabilities = ["read"] }',
      });
      const made = await vault.set('POST', 'auth/token/create', { policies: ['tenure'], no_parent: true, ttl: '1h' });
      token = String(made.auth['client_token']);
      world = await createWorld({
        logger: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }),
        vault: {
          login: {
            address: vault.address,
            ca: `file:${vault.certificates.ca}`,
            login: { how: 'token', token: 'env:VAULT_TOKEN' },
          },
          env: { VAULT_TOKEN: token },
        },
        policy: (files) => [
          ...withoutBadge(files),
          { path: 'applications/stock.yaml', text: stock },
          { path: 'applications/lost.yaml', text: portal('lost', 'vault:kv/tenure/nowhere#token') },
          { path: 'applications/late.yaml', text: portal('late', 'vault:kv/tenure/late#token') },
          ...['stock', 'lost', 'late'].map((slug) => ({ path: `roles/${slug}-users.yaml`, text: role(slug) })),
        ],
      });
      service = `stock_${world.tag}`;
      owner = new pg.Client({ connectionString: world.erp.ownerUrl });
      owner.on('error', () => undefined);
      await owner.connect();
      const database = pg.escapeIdentifier(new URL(world.erp.ownerUrl).pathname.slice(1));
      await owner.query(`create role ${service} login`);
      await owner.query(`grant connect on database ${database} to ${service}`);
      await owner.query(`grant usage on schema erp to ${service}`);
      await owner.query(`grant select, insert, update, delete on erp.accounts to ${service}`);
      await rotate();
      await publish();
      await vault.set('POST', 'kv/data/tenure/late', { data: { token: world.scimToken } });
    }, 180_000);
    afterAll(async () => {
      await world?.stop();
      await owner?.query(`drop owned by ${service}`).catch(() => undefined);
      await owner?.query(`drop role if exists ${service}`);
      await owner?.end();
      await vault?.stop();
    });

    /** At the target: a new password, and nobody stays signed in with the old one. */
    async function rotate(): Promise<void> {
      passwords.push(`planted-${randomBytes(9).toString('hex')}`);
      await owner.query(`alter role ${service} password '${passwords.at(-1)}'`);
      await owner.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [service]);
    }
    /** In Vault: the URL with the newest password. */
    async function publish(): Promise<void> {
      const url = new URL(world.erp.ownerUrl);
      url.username = service;
      url.password = passwords.at(-1) ?? '';
      await vault.set('POST', 'kv/data/tenure/stock', { data: { url: url.href } });
    }
    const inDepartment = (department: string) => ({ attributes: { department } });
    const newcomer = async (person: string, department: string) =>
      identityOf(await world.hr(hire(world, person, inDepartment(department))));
    const visitTo = async (id: Parameters<typeof visitsOf>[1], application: string, phase?: string) =>
      (await visitsOf(world, id, phase)).find((visit) => visit.application === application);
    const enabledInStock = async (id: string): Promise<boolean | undefined> => {
      const { rows } = await owner.query<{ enabled: boolean }>(
        'select enabled from erp.accounts where external_id = $1',
        [`stock/${id}`],
      );
      return rows[0]?.enabled;
    };

    it('a credential that is rotated between two visits makes no task and no quarantine', async () => {
      const first = await newcomer('va', 'stock');
      await atRest(world, [first]);
      expect(await enabledInStock(first)).toBe(true);
      await rotate();
      await publish();
      const second = await newcomer('vb', 'stock');
      await atRest(world, [second]);
      expect(await enabledInStock(second)).toBe(true);
      expect(await tasksOf(world, second)).toEqual([]);
      const asked = await vault.audit();
      const reads = asked.split('\n').filter((line) => line.includes('"path":"kv/data/tenure/stock"'));
      expect(reads.filter((line) => line.includes('"type":"request"') && line.includes('"read"')).length).toBe(2);
      const { rows } = await owner.query('select 1 from erp.accounts where external_id = $1', [`stock/${second}`]);
      expect(rows).toHaveLength(1);
    }, 90_000);

    it('sealed in the middle of a rotation: that application waits, the others go on, nobody is asked', async () => {
      await rotate();
      await vault.seal();
      const id = await newcomer('vc', 'stock');
      const late = await newcomer('vd', 'late');
      await eventually(
        async () => {
          const [one, other] = [await visitTo(id, 'stock'), await visitTo(late, 'late')];
          if (one?.code === 'secrets-unavailable' && other?.code === 'secrets-unavailable') return true;
          throw new Error(JSON.stringify([one, other]));
        },
        'visits that wait for Vault',
        30_000,
      );
      await eventually(
        async () => ((await visitTo(id, 'directory'))?.outcome === 'proven' ? true : undefined),
        'the directory',
      );
      expect([...(await tasksOf(world, id)), ...(await tasksOf(world, late))]).toEqual([]);
      expect((await visitTo(id, 'stock'))?.status).not.toBe('settled');
      await vault.unseal();
      await publish();
      await atRest(world, [id, late]);
      expect(await enabledInStock(id)).toBe(true);
      expect((await visitTo(late, 'late'))?.outcome).toBe('proven');
      const quarantined = await world.deps.db
        .selectFrom('application_state')
        .select('application')
        .where('quarantined_since', 'is not', null)
        .execute();
      expect(quarantined).toEqual([]);
    }, 120_000);

    it('a cut is planned and done everywhere else while Vault is sealed, and there as soon as it opens', async () => {
      const id = await joined(world, 've', inDepartment('stock'));
      await rotate();
      await vault.seal();
      await cut(world, 've');
      await eventually(
        async () => ((await visitTo(id, 'directory', 'cut'))?.outcome === 'proven' ? true : undefined),
        'the cut at the directory',
        30_000,
      );
      expect((await visitTo(id, 'stock', 'cut'))?.status).not.toBe('settled');
      expect(await enabledInStock(id)).toBe(true);
      await vault.unseal();
      await publish();
      await eventually(
        async () => ((await enabledInStock(id)) === false ? true : undefined),
        'the cut at the stock',
        60_000,
      );
      await atRest(world, [id]);
    }, 150_000);

    it('a path that is not there asks a person for that application alone, and goes on when it is', async () => {
      const id = await newcomer('vf', 'lost');
      const task = await taskOf(world, id);
      expect([task.application, task.code]).toEqual(['lost', 'secret-missing']);
      await eventually(
        async () => ((await visitTo(id, 'directory'))?.outcome === 'proven' ? true : undefined),
        'the directory',
      );
      const said = lines.filter((line) => line.includes('a secret of an application is not there'));
      expect(said.map((line) => JSON.parse(line) as object)).toContainEqual(
        expect.objectContaining({
          application: 'lost',
          reference: 'vault:kv/tenure/nowhere#token',
          problem: 'there is nothing at this path',
        }),
      );
      await vault.set('POST', 'kv/data/tenure/nowhere', { data: { token: world.scimToken } });
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      await world.lifecycle.resolveTask(task.workflowId, {
        taskId: task.taskId,
        decisionId: '00000000-0000-4000-8000-000000000001',
        resolution: 'retry',
      });
      await atRest(world, [id]);
      expect((await visitTo(id, 'lost'))?.outcome).toBe('proven');
    }, 90_000);

    it('tenure app test reads references from where it runs and from the worker, and names the line of a wrong one', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tenure-vault-'));
      const door = await openDoor(world);
      const test = async (what: string) => {
        const out: string[] = [];
        const config = {
          TENURE_HOME: folder,
          TENURE_VAULT_ADDR: vault.address,
          TENURE_VAULT_CA: `file:${vault.certificates.ca}`,
          TENURE_VAULT_TOKEN: 'env:VAULT_TOKEN',
        };
        await runCli(['--url', door.url, '--token', door.token, '--json', 'app', 'test', what], {
          config: () => loadConfig(config, process.cwd()),
          terminal: { out: (text) => void out.push(text), err: () => undefined, isInteractive: false },
          variables: { TENURE_SANDBOX_WIKI_URL: world.wiki.scimUrl, VAULT_TOKEN: token },
        });
        return JSON.parse(out.join('')) as {
          ok: boolean;
          findings: { code: string; line?: number; message: string }[];
        };
      };
      try {
        const path = join(folder, 'late.yaml');
        writeFileSync(path, portal('late', 'vault:kv/tenure/late#token'));
        expect([(await test(path)).ok, (await test('late')).ok]).toEqual([true, true]);
        writeFileSync(path, portal('late', 'vault:kv/tenure/late#tokn'));
        expect((await test(path)).findings).toContainEqual(
          expect.objectContaining({
            code: 'secret-missing',
            line: 7,
            message: expect.stringContaining('config.token: secret reference vault:kv/tenure/late#tokn: '),
          }),
        );
        writeFileSync(path, portal('late', 'vault:kv/tenure/late'));
        expect((await test(path)).findings).toContainEqual(
          expect.objectContaining({ line: 7, message: expect.stringContaining('the field is missing') }),
        );
        await vault.seal();
        writeFileSync(path, portal('late', 'vault:kv/tenure/late#token'));
        const sealed = await test(path).finally(() => vault.unseal());
        expect(sealed.findings).toContainEqual(expect.objectContaining({ code: 'secrets-unavailable', line: 7 }));
      } finally {
        await door.app.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }, 60_000);

    it('no value of Vault’s, nor the token for it, is in Temporal, in the database or in the log', async () => {
      const markers: Marker[] = [...passwords, token].map((value, index) => ({ name: `secret ${index}`, value }));
      const find = createFinder(markers);
      const scan = await scanNamespace(world.client, world.namespace, markers);
      expect(scan.events).toBeGreaterThan(100);
      expect(scan.leaks).toEqual([]);
      expect(lines.length).toBeGreaterThan(0);
      expect(find(lines.join('\n'))).toEqual([]);
      expect(find(`${lines.join('\n')}${passwords[0]}`)).not.toEqual([]);
      const tenure = new pg.Client({ connectionString: world.database.owner });
      await tenure.connect();
      try {
        const everything = async (): Promise<string> => {
          const { rows } = await tenure.query<{ name: string }>(
            `select format('%I.%I', schemaname, tablename) as name from pg_tables
             where schemaname not in ('pg_catalog', 'information_schema')`,
          );
          const texts: string[] = [];
          for (const { name } of rows)
            texts.push(JSON.stringify((await tenure.query(`select t::text from ${name} t`)).rows));
          return texts.join('\n');
        };
        expect(find(await everything())).toEqual([]);
        await tenure.query('create table planted (value text)');
        await tenure.query('insert into planted values ($1)', [passwords[0]]);
        expect(find(await everything())).not.toEqual([]);
      } finally {
        await tenure.end();
      }
    }, 60_000);
  },
);
