import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import { runFolder } from '../support/run-folder.js';
import { run, systemEnvironment } from '../systems/debian.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { startVault, vaultBuild } from '../systems/vault.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { VaultWorld } from './vault-harness.js';
import { sampleAccount, startVaultWorld } from './vault-harness.js';

const build = await vaultBuild();
const withoutLdap = build.program === undefined ? 'no Vault' : await reasonToSkipOpenLdap();

(build.program === undefined ? describe.skip : describe)(
  `vault${build.skip === undefined ? '' : ` (${build.skip})`}`,
  () => {
    let world: VaultWorld;
    let connector: Connector;
    beforeAll(async () => {
      const ldap = withoutLdap === undefined ? await startOpenLdap() : undefined;
      world = await startVaultWorld(await startVault(build.program ?? ''), ldap);
      connector = world.connector();
    }, 120_000);
    afterAll(async () => {
      await connector.close();
      await world.stop();
    });

    const person = async (): Promise<{ ref: AccountRef; login: string }> => {
      const spec = sampleAccount();
      const { ref } = await connector.create!(spec, newContext());
      return { ref, login: spec.login };
    };
    const works = async (token: string) =>
      (await world.vault.call('GET', 'auth/token/lookup-self', undefined, token)).status;

    it('a disable stops a token that is in use, and a revocation ends it for good', async () => {
      const { ref, login } = await person();
      const token = await world.signIn(login);
      expect(await works(token)).toBe(200);
      await connector.disable!(ref, newContext());
      expect(await works(token)).toBe(403);
      await connector.enable!(ref, newContext());
      expect(await works(token)).toBe(200);
      await connector.revokeSessions!(ref, newContext());
      expect(await works(token)).toBe(403);
    });

    it('finds and revokes orphan and child tokens of an entity, and nobody else’s', async () => {
      const [one, other] = [await person(), await person()];
      const token = await world.signIn(one.login);
      const child = await world.vault.call('POST', 'auth/token/create', {}, token);
      const kept = await world.signIn(other.login);
      expect(await connector.listSessions!(one.ref, newContext())).toMatchObject({
        count: child.status === 200 ? 2 : 1,
      });
      await connector.revokeSessions!(one.ref, newContext());
      expect([await works(token), await works(kept)]).toEqual([403, 200]);
    });

    it('a check-in drops the dynamic database account and ends its open session', async () => {
      const { ref, login } = await person();
      const { user, password } = await world.credentials(login, await world.signIn(login));
      const session = await world.openDatabase(user, password);
      expect((await session.query('select current_user as who')).rows).toEqual([{ who: user }]);
      expect(await connector.listPrivileges!(ref, newContext())).toMatchObject({
        leases: 1,
        sessions: 1,
        checkedOut: 0,
      });
      await connector.checkIn!(ref, newContext());
      await expect(session.query('select 1')).rejects.toThrow();
      await expect(world.openDatabase(user, password)).rejects.toThrow(/authentication failed/);
      await session.end().catch(() => undefined);
    });

    it('a check-in that the database refuses is not called done, and is finished by repeating it', async () => {
      const { ref, login } = await person();
      const { user } = await world.credentials(login, await world.signIn(login));
      // A role that owns something cannot be dropped.
      await world.database.query(`create table "${user}_t" (); alter table "${user}_t" owner to "${user}"`);
      await expect(connector.checkIn!(ref, newContext())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect(await connector.listPrivileges!(ref, newContext())).toMatchObject({ leases: 1, sessions: 0 });
      await world.database.query(`drop table "${user}_t"`);
      expect(await connector.checkIn!(ref, newContext())).toMatchObject({ outcome: 'applied' });
      expect(await connector.listPrivileges!(ref, newContext())).toMatchObject({ leases: 0, sessions: 0 });
    });

    (withoutLdap === undefined ? it : it.skip)(
      'a check-in gives a borrowed service account a new password',
      async () => {
        const { ref, login } = await person();
        const { name, password } = await world.checkOut(await world.signIn(login));
        const binds = () => {
          const { url = '', suffix = '' } = world.ldap ?? {};
          const args = ['-x', '-H', url, '-D', `uid=${name},ou=people,${suffix}`, '-w', password];
          return run('ldapwhoami', args, { env: systemEnvironment }).then(
            () => true,
            () => false,
          );
        };
        expect(await binds()).toBe(true);
        expect(await connector.listPrivileges!(ref, newContext())).toMatchObject({ checkedOut: 1 });
        await connector.checkIn!(ref, newContext());
        expect(await binds()).toBe(false);
      },
    );

    it('a locked user and a bound network are not taken for a cut', async () => {
      const { ref, login } = await person();
      const secret = Secret.random();
      await connector.setSecret!(ref, secret, newContext());
      const probe = async () => (await connector.probeSignIn!(login, secret, newContext())).answer;
      await world.vault.set('POST', `auth/userpass/users/${login}`, { token_bound_cidrs: ['192.0.2.0/24'] });
      expect(await probe()).not.toBe('disabled');
      await world.vault.set('POST', `auth/userpass/users/${login}`, { token_bound_cidrs: [] });
      expect(await probe()).toBe('accepted');
      for (let tries = 0; tries < 6; tries += 1) await connector.probeSignIn!(login, Secret.random(), newContext());
      await connector.disable!(ref, newContext());
      expect(await probe()).toBe('locked');
    });

    it('a create that broke off after the entity is half: nobody signs in, and repeating it finishes it', async () => {
      const spec = sampleAccount();
      let markers = 0;
      const broken = newContext({
        sentMarker: () => ((markers += 1) === 2 ? Promise.reject(new Error('stop')) : Promise.resolve()),
      });
      await expect(connector.create!(spec, broken)).rejects.toThrow('stop');
      expect(await connector.find({ attribute: 'login', value: spec.login }, newContext())).toMatchObject([
        { status: 'unknown' },
      ]);
      const again = await connector.create!(spec, newContext({ idempotencyKey: broken.idempotencyKey }));
      expect((await connector.get(again.ref, newContext()))?.status).toBe('enabled');
    });

    it('ten at once in one group: none is lost', async () => {
      const people = await Promise.all(Array.from({ length: 10 }, person));
      const group = { application: 'x', name: 'staff' };
      await Promise.all(people.map(({ ref }) => connector.addMember!(group, ref, newContext())));
      const members = (await connector.listMembers!(group, undefined, newContext())).items.map((one) => one.nativeId);
      expect(people.filter(({ ref }) => !members.includes(ref.nativeId))).toEqual([]);
    });

    it('logs in by AppRole, tells a wrong secret id from a missing right, and can do without userpass', async () => {
      const { set } = world.vault;
      await set('POST', 'sys/auth/approle', { type: 'approle' });
      await set('POST', 'auth/approle/role/tenure', { token_policies: ['tenure'] });
      const roleId = String((await set('GET', 'auth/approle/role/tenure/role-id')).data['role_id']);
      const secretId = String((await set('POST', 'auth/approle/role/tenure/secret-id')).data['secret_id']);
      const healthOf = async (auth: object, token?: string) => {
        const one = world.connector(
          { auth, userpass: undefined, groups: false, sessions: false, privileges: undefined },
          token,
        );
        const capabilities = one.capabilities();
        const page = await one.list({ objectClass: 'account', pageSize: 1 }, newContext()).then(
          () => 'listed',
          (error: unknown) => (error as { code: string }).code,
        );
        await one.close();
        expect(capabilities).toEqual(committedCapabilities('vault', 'entities'));
        return page;
      };
      const files = async (name: string, text: string): Promise<string> => {
        const file = join(runFolder(), `vault-${name}`);
        await writeFile(file, text);
        return `file:${file}`;
      };
      const role = await files('role', roleId);
      expect(await healthOf({ roleId: role, secretId: await files('right', secretId) })).toBe('listed');
      expect(await healthOf({ roleId: role, secretId: await files('wrong', 'nope') })).toBe('UNAUTHENTICATED');
      const weak = await set('POST', 'auth/token/create', { policies: ['default'], no_parent: true });
      const auth = { token: 'env:VAULT_SERVICE_TOKEN' };
      expect(await healthOf(auth, String(weak.auth['client_token']))).toBe('FORBIDDEN');
    });
  },
);
