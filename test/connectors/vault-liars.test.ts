import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { startVault, vaultBuild } from '../systems/vault.js';
import { newContext } from './kit/checks.js';
import { startLyingProxy } from './lying-http-proxy.js';
import type { LyingProxy } from './lying-http-proxy.js';
import { sampleAccount, startVaultWorld } from './vault-harness.js';
import type { VaultWorld } from './vault-harness.js';

const build = await vaultBuild();
const withoutLdap = build.program === undefined ? 'no Vault' : await reasonToSkipOpenLdap();

interface Person {
  readonly ref: AccountRef;
  readonly login: string;
}

/** A write of the connector, what the proxy swallows of it, and the look that must tell whether it happened. */
interface Row {
  readonly write: string;
  readonly about: RegExp;
  readonly needsLdap?: true;
  /** Brings the person to where the write has something to do. */
  before?(person: Person): Promise<void>;
  act(person: Person): Promise<unknown>;
  /** What `act` itself says of the lie: it answers, or raises this code because it looked. */
  readonly raises?: string;
  look(person: Person): Promise<unknown>;
  readonly lied: unknown;
  readonly honest: unknown;
}

(build.program === undefined ? describe.skip : describe)(
  `a Vault that says 204 and does nothing${build.skip === undefined ? '' : ` (${build.skip})`}`,
  () => {
    let world: VaultWorld;
    let proxy: LyingProxy;
    let connector: Connector;
    beforeAll(async () => {
      const ldap = withoutLdap === undefined ? await startOpenLdap() : undefined;
      world = await startVaultWorld(await startVault(build.program ?? ''), ldap);
      proxy = await startLyingProxy(world.vault.plainPort);
      connector = world.connector({ address: proxy.url, tls: undefined });
    }, 120_000);
    afterAll(async () => {
      await connector?.close();
      await proxy?.stop();
      await world?.stop();
    });

    const staff = { application: 'x', name: 'staff' };
    const secrets = new Map<string, Secret>();
    const secretOf = (login: string): Secret => secrets.get(login) ?? Secret.random();
    const givenSecret = async ({ ref, login }: Person): Promise<void> => {
      await connector.setSecret!(ref, Secret.random(), newContext());
      secrets.set(login, Secret.random());
    };
    const probe = async ({ login }: Person) =>
      (await connector.probeSignIn!(login, secretOf(login), newContext())).answer;
    const verdict = async (ref: AccountRef, expected: object) =>
      (await connector.verify({ ref, exists: true, ...expected }, newContext())).verdict;

    const rows: readonly Row[] = [
      {
        write: 'the revocation of tokens',
        about: /revoke-prefix\/auth|revoke-accessor/,
        before: async ({ login }) => void (await world.signIn(login)),
        act: ({ ref }) => connector.revokeSessions!(ref, newContext()),
        look: async ({ ref }) => (await connector.listSessions!(ref, newContext())).count,
        lied: 1,
        honest: 0,
      },
      {
        write: 'the revocation of a lease',
        about: /sys\/leases\/revoke$/,
        // Taken by another token than the person's, so that it does not end with that one.
        before: async ({ login }) => void (await world.credentials(login, world.vault.rootToken)),
        act: ({ ref }) => connector.checkIn!(ref, newContext()),
        raises: 'UNAVAILABLE',
        look: async ({ ref }) => (await connector.listPrivileges!(ref, newContext())).leases,
        lied: 1,
        honest: 0,
      },
      {
        write: 'the check-in of a service account',
        // An honest end of the borrower's token would bring it in, too.
        about: /\/check-in$|revoke/,
        needsLdap: true,
        before: async ({ login }) => void (await world.checkOut(await world.signIn(login))),
        act: ({ ref }) => connector.checkIn!(ref, newContext()),
        raises: 'UNAVAILABLE',
        look: async ({ ref }) => (await connector.listPrivileges!(ref, newContext())).checkedOut,
        lied: 1,
        honest: 0,
      },
      {
        write: 'the rotation of a password',
        about: /\/password$/,
        before: givenSecret,
        act: ({ ref, login }) => connector.setSecret!(ref, secretOf(login), newContext()),
        look: probe,
        lied: 'wrong-secret',
        honest: 'accepted',
      },
      {
        write: 'a disable',
        about: /POST \/v1\/identity\/entity/,
        act: ({ ref }) => connector.disable!(ref, newContext()),
        look: ({ ref }) => verdict(ref, { status: 'disabled' }),
        lied: 'mismatch',
        honest: 'ok',
      },
      {
        write: 'the sealed secret of a cut',
        about: /\/password$/,
        before: givenSecret,
        act: ({ ref, login }) => connector.seal!(ref, secretOf(login), newContext()),
        look: probe,
        lied: 'wrong-secret',
        honest: 'disabled',
      },
      {
        write: 'a removal from a group',
        about: /POST \/v1\/identity\/group/,
        before: async ({ ref }) => void (await connector.addMember!(staff, ref, newContext())),
        act: ({ ref }) => connector.removeMember!(staff, ref, newContext()),
        raises: 'CONFLICT',
        look: ({ ref }) => verdict(ref, { entitlementsAbsent: ['staff'] }),
        lied: 'mismatch',
        honest: 'ok',
      },
      {
        write: 'a delete',
        about: /DELETE /,
        act: ({ ref }) => connector.delete!(ref, newContext()),
        look: async ({ ref }) => (await connector.verify({ ref, exists: false }, newContext())).verdict,
        lied: 'mismatch',
        honest: 'ok',
      },
    ];

    for (const row of rows)
      (row.needsLdap === true && withoutLdap !== undefined ? it.skip : it)(
        `about ${row.write} is found out, and the same look believes the honest one`,
        async () => {
          proxy.lie(undefined);
          const spec = sampleAccount();
          const { ref } = await connector.create!(spec, newContext());
          const person = { ref, login: spec.login };
          await row.before?.(person);
          proxy.lie(row.about);
          const said = await row.act(person).then(
            (result) => (result as { outcome: string }).outcome,
            (error: unknown) => (error as { code: string }).code,
          );
          expect(proxy.swallowed()).not.toEqual([]);
          expect(said).toBe(row.raises ?? 'applied');
          expect(await row.look(person)).toEqual(row.lied);
          proxy.lie(undefined);
          expect(await row.act(person)).toMatchObject({ outcome: 'applied' });
          expect(await row.look(person)).toEqual(row.honest);
        },
        30_000,
      );
  },
);
