import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createConnectorPool } from '../../src/activities/connector-pool.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { SecretReferenceError } from '../../src/connectors/secret.js';
import { createSecretStore, MAX_AGE_MS } from '../../src/connectors/secret-store.js';
import type { SecretStore, VaultLogin } from '../../src/connectors/secret-store.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../src/domain/policy/types.js';
import { freePort } from '../../src/embedded/processes.js';
import { createFinder } from '../privacy/markers.js';
import { runFolder } from '../support/run-folder.js';
import { makeCertificates } from '../systems/debian.js';
import { startVault, vaultBuild } from '../systems/vault.js';
import type { Vault } from '../systems/vault.js';

const build = await vaultBuild();
const secret = (): string => `planted-${randomBytes(9).toString('hex')}`;

(build.program === undefined ? describe.skip : describe)(
  `secrets by reference to Vault${build.skip === undefined ? '' : ` (${build.skip})`}`,
  () => {
    let vault: Vault;
    const open: SecretStore[] = [];
    /** Everything that a store said to its logger. */
    const lines: string[] = [];
    const say = (fields: object, message: string): void => void lines.push(inspect({ fields, message }, { depth: 9 }));
    const logger = { debug: say, info: say, warn: say, error: say };
    let clock = 0;
    const planted: string[] = [];

    beforeAll(async () => {
      vault = await startVault(build.program ?? '');
      await vault.set('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
      await vault.set('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } });
      await vault.set('POST', 'sys/mounts/team/a', { type: 'kv', options: { version: '2' } });
      await vault.set('POST', 'sys/mounts/transit', { type: 'transit' });
      await vault.set('PUT', 'sys/policies/acl/tenure', { policy: documentedPolicy });
    }, 120_000);
    afterEach(async () => {
      await Promise.all(open.splice(0).map((store) => store.close()));
    });
    afterAll(async () => vault?.stop());

    const documentedPolicy = ['kv/data/tenure/*', 'old/tenure/*', 'team/a/data/*', 'transit/*']
      .map((path) => `path "${path}" { capabilities = ["read"] }`)
      .join('\n');
    const token = async (): Promise<string> => {
      const made = await vault.set('POST', 'auth/token/create', { policies: ['tenure'], no_parent: true, ttl: '1h' });
      return String(made.auth['client_token']);
    };
    const store = (change: Partial<VaultLogin> & { readonly login: VaultLogin['login'] }, env = {}): SecretStore => {
      const made = createSecretStore({
        env,
        vault: { address: vault.address, ca: `file:${vault.certificates.ca}`, ...change },
        logger,
        now: () => clock,
      });
      open.push(made);
      return made;
    };
    const storeWithToken = async (change: Partial<VaultLogin> = {}): Promise<SecretStore> =>
      store({ login: { how: 'token', token: 'env:TOKEN' }, ...change }, { TOKEN: await token() });
    /** The value, or what stands in its way. */
    const read = async (from: SecretStore, reference: string): Promise<string | SecretReferenceError> => {
      await from.prepare([reference], new AbortController().signal);
      try {
        return from.resolve(reference).reveal();
      } catch (error) {
        if (error instanceof SecretReferenceError) return error;
        throw error;
      }
    };
    const put = async (path: string, fields: Record<string, unknown>): Promise<void> => {
      planted.push(...Object.values(fields).filter((value) => typeof value === 'string'));
      await vault.set('POST', path, path.startsWith('old/') ? fields : { data: fields });
    };

    it('reads versions 2 and 1 and a mount with a slash, and asks once for the fields of a path', async () => {
      const [one, two, three] = [secret(), secret(), secret()];
      await put('kv/data/tenure/erp', { url: one, password: two });
      await put('old/tenure/erp', { url: two });
      await put('team/a/data/erp', { url: three, port: 5432 });
      const from = await storeWithToken();
      const references = ['vault:kv/tenure/erp#url', 'vault:kv/tenure/erp#password', 'vault:old/tenure/erp#url'];
      await from.prepare(references, new AbortController().signal);
      expect(references.map((reference) => from.resolve(reference).reveal())).toEqual([one, two, two]);
      expect(await read(from, 'vault:team/a/erp#url')).toBe(three);
      expect(await read(from, 'vault:team/a/erp#port')).toBe('5432');
      const asked = (await vault.audit()).split('\n').filter((line) => line.includes('"path":"kv/data/tenure/erp"'));
      const reads = asked.filter((line) => line.includes('"type":"request"') && line.includes('"operation":"read"'));
      expect(reads).toHaveLength(1);
    });

    it('says what is wrong with a reference that leads nowhere, for good, and never a value', async () => {
      await put('kv/data/tenure/there', { field: secret(), list: ['x'], empty: '' });
      await put('kv/data/tenure/gone', { field: secret() });
      await vault.set('DELETE', 'kv/data/tenure/gone');
      await put('kv/data/other', { field: secret() });
      const from = await storeWithToken();
      for (const [reference, words] of [
        ['vault:kv/tenure/absent#field', 'there is nothing at this path'],
        ['vault:kv/data/tenure/there#field', 'may not read this path'],
        ['vault:team/a/data/erp#url', 'without data/'],
        ['vault:kv/tenure/there#other', 'not this field'],
        ['vault:kv/tenure/there#list', 'not this field'],
        ['vault:kv/tenure/there#empty', 'not this field'],
        ['vault:kv/tenure/gone#field', 'its newest version is deleted'],
        ['vault:kv/other#field', 'may not read this path'],
        ['vault:nothing/mounted#field', 'no such mount'],
        ['vault:transit/keys/x#field', 'no key-value store'],
      ] as const) {
        const found = await read(from, reference);
        expect(found).toBeInstanceOf(SecretReferenceError);
        expect(found).toMatchObject({ reference, temporary: false });
        expect(String(found)).toContain(words);
      }
      const without = createSecretStore({ env: {}, logger });
      expect(await read(without, 'vault:kv/tenure/there#field')).toMatchObject({
        temporary: false,
        message: expect.stringContaining('TENURE_VAULT_ADDR is not set'),
      });
    });

    it('sees a rotated value when the old one is refused, or a minute old, and a value made anew under the same version', async () => {
      const [one, two, three] = [secret(), secret(), secret()];
      await put('kv/data/tenure/rotated', { key: one });
      const reference = 'vault:kv/tenure/rotated#key';
      const from = await storeWithToken();
      expect(await read(from, reference)).toBe(one);
      const stamp = from.stampOf([reference]);
      await put('kv/data/tenure/rotated', { key: two });
      expect(await read(from, reference)).toBe(one);
      expect(from.stampOf([reference])).toBe(stamp);
      from.refused([reference]);
      expect(await read(from, reference)).toBe(two);
      expect(from.stampOf([reference])).not.toBe(stamp);
      await vault.set('DELETE', 'kv/metadata/tenure/rotated');
      await put('kv/data/tenure/rotated', { key: three });
      clock += MAX_AGE_MS;
      expect(await read(from, reference)).toBe(three);
    });

    it('goes on with what it has while Vault is sealed, except with what a target refused', async () => {
      const [one, two] = [secret(), secret()];
      await put('kv/data/tenure/sealed', { key: one });
      await put('kv/data/tenure/unread', { key: secret() });
      const reference = 'vault:kv/tenure/sealed#key';
      const from = await storeWithToken();
      expect(await read(from, reference)).toBe(one);
      await put('kv/data/tenure/sealed', { key: two });
      await vault.seal();
      try {
        clock += MAX_AGE_MS;
        expect(await read(from, reference)).toBe(one);
        expect(await read(from, 'vault:kv/tenure/unread#key')).toMatchObject({
          temporary: true,
          message: expect.stringContaining('UNAVAILABLE/http-503'),
        });
        from.refused([reference]);
        expect(await read(from, reference)).toMatchObject({ temporary: true });
      } finally {
        await vault.unseal();
      }
      clock += 1_000;
      expect(await read(from, reference)).toBe(two);
    });

    it('signs in by AppRole and by JWT, and anew when Vault no longer knows the token', async () => {
      const value = secret();
      await put('kv/data/tenure/login', { key: value });
      const reference = 'vault:kv/tenure/login#key';
      await vault.set('POST', 'sys/auth/approle', { type: 'approle' });
      await vault.set('POST', 'auth/approle/role/tenure', { token_policies: ['tenure'] });
      const { data: role } = await vault.set('GET', 'auth/approle/role/tenure/role-id');
      const { data: made } = await vault.set('POST', 'auth/approle/role/tenure/secret-id', {});
      const approle = { how: 'approle', roleId: 'env:ROLE', secretId: 'env:SECRET', mount: 'approle' } as const;
      const ids = { ROLE: role['role_id'], SECRET: made['secret_id'] } as Record<string, string>;
      expect(await read(store({ login: approle }, ids), reference)).toBe(value);
      expect(await read(store({ login: approle }, { ...ids, SECRET: 'wrong' }), reference)).toMatchObject({
        temporary: true,
        message: expect.stringContaining("does not accept Tenure's own sign-in"),
      });

      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      await vault.set('POST', 'sys/auth/workload', { type: 'jwt' });
      await vault.set('POST', 'auth/workload/config', {
        jwt_validation_pubkeys: [publicKey.export({ type: 'spki', format: 'pem' })],
      });
      await vault.set('POST', 'auth/workload/role/tenure', {
        role_type: 'jwt',
        user_claim: 'sub',
        bound_audiences: ['vault'],
        token_policies: ['tenure'],
      });
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const now = Math.floor(Date.now() / 1000);
      const claims = { sub: 'tenure', aud: 'vault', iss: 'tests', iat: now, exp: now + 600 };
      const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
      const jwt = `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
      const file = join(runFolder(), `jwt-${randomBytes(4).toString('hex')}`);
      await writeFile(file, jwt);
      const workload = { how: 'jwt', role: 'tenure', jwt: `file:${file}`, mount: 'workload' } as const;
      expect(await read(store({ login: workload }), reference)).toBe(value);
      await writeFile(file, `${jwt.slice(0, -4)}AAAA`);
      expect(await read(store({ login: workload }), reference)).toMatchObject({ temporary: true });

      // An agent's token file: the old token ends, another one stands in the file.
      const first = await token();
      await writeFile(file, first);
      const agent = store({ login: { how: 'token', token: `file:${file}` } });
      expect(await read(agent, reference)).toBe(value);
      await vault.set('POST', 'auth/token/revoke', { token: first });
      clock += MAX_AGE_MS;
      agent.refused([reference]);
      expect(await read(agent, reference)).toMatchObject({ temporary: true });
      await writeFile(file, await token());
      clock += 1_000;
      expect(await read(agent, reference)).toBe(value);
    });

    it('sends nothing to a server that the pinned authority did not sign, and does not wait for one that is away', async () => {
      const { ca } = await makeCertificates(join(runFolder(), `other-ca-${randomBytes(4).toString('hex')}`));
      const before = (await vault.audit()).length;
      const other = await storeWithToken({ ca: `file:${ca}` });
      const created = (await vault.audit()).length;
      expect(created).toBeGreaterThan(before);
      expect(await read(other, 'vault:kv/tenure/erp#url')).toMatchObject({ temporary: true });
      expect((await vault.audit()).length).toBe(created);
      const away = await storeWithToken({ address: `https://127.0.0.1:${await freePort()}` });
      const started = performance.now();
      expect(await read(away, 'vault:kv/tenure/erp#url')).toMatchObject({
        temporary: true,
        message: expect.stringContaining('UNAVAILABLE/ECONNREFUSED'),
      });
      expect(performance.now() - started).toBeLessThan(5_000);
    });

    it('a new credential makes a new connector, the old one is closed later, and capabilities need no Vault', async () => {
      await put('kv/data/tenure/scim', { token: secret() });
      await put('kv/data/tenure/elsewhere', { token: secret() });
      const secrets = await storeWithToken();
      const closed: string[] = [];
      const shipped = createShippedRegistry();
      let made = 0;
      const registry: typeof shipped = {
        ...shipped,
        create: (kind, slug, config, deps) => {
          const inner = shipped.create(kind, slug, config, deps);
          const name = `${slug}-${(made += 1)}`;
          return { ...inner, close: () => inner.close().then(() => void closed.push(name)) };
        },
      };
      const pool = createConnectorPool({ registry, secrets, logger, retireAfterMs: 50 });
      const application = (path: string): ApplicationPolicy =>
        ({
          slug: 'portal',
          connector: 'scim',
          config: { baseUrl: 'https://127.0.0.1:9/scim/v2', token: `vault:${path}#token` },
        }) as unknown as ApplicationPolicy;
      const portal = application('kv/tenure/scim');
      const policy = {} as CompiledPolicy;
      const { signal } = new AbortController();
      expect(() => pool.connectorFor(portal, policy)).toThrow(/was not read from Vault yet/);
      expect(pool.capabilitiesFor(portal)?.objectClasses.account.operations).toContain('create');
      await pool.prepare(portal.config, signal);
      const first = pool.connectorFor(portal, policy);
      const credential = pool.credentialOf(portal);
      expect(pool.connectorFor(portal, policy)).toBe(first);
      expect(await pool.refused(portal, credential, signal)).toBe('same');
      await put('kv/data/tenure/scim', { token: secret() });
      expect(await pool.refused(portal, credential, signal)).toBe('renewed');
      const second = pool.connectorFor(portal, policy);
      expect(second).not.toBe(first);
      // A second visit that had the old one is not told to ask a person.
      expect(await pool.refused(portal, credential, signal)).toBe('renewed');
      expect(closed).toEqual(['portal-1']);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(closed).toEqual(['portal-1', 'portal-2']);
      await vault.seal();
      try {
        expect(await pool.refused(portal, pool.credentialOf(portal), signal)).toBe('unknown');
        expect(pool.capabilitiesFor(application('kv/tenure/elsewhere'))).toBeDefined();
      } finally {
        await vault.unseal();
      }
      await pool.close();
      expect(closed).toHaveLength(4);
    });

    it('wrote none of these values to its log, its errors or its own form, and the search would find them', async () => {
      const value = secret();
      await put('kv/data/tenure/printed', { key: value });
      const from = await storeWithToken();
      expect(await read(from, 'vault:kv/tenure/printed#key')).toBe(value);
      const seen = [...lines, inspect(from, { depth: 12, showHidden: true }), JSON.stringify(from)].join('\n');
      const find = createFinder(planted.filter((one) => one !== '').map((one) => ({ name: one, value: one })));
      expect(lines.length).toBeGreaterThan(3);
      expect(planted.length).toBeGreaterThan(10);
      expect(find(seen)).toEqual([]);
      expect(find(`${seen} ${Buffer.from(value).toString('base64')}`)).not.toEqual([]);
    });
  },
);
