import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTransport } from 'nodemailer';
import type { Client } from 'pg';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { verifyReport } from '../../src/report/signature.js';
import { readCsv } from '../connectors/file-harness.js';
import { otp, userInfo } from '../connectors/identity-provider-harness.js';
import { proofSender } from '../connectors/mail-setup.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { run, systemEnvironment } from '../systems/debian.js';
import { reasonToSkipKeycloak } from '../systems/keycloak.js';
import type { Json, Realm } from '../systems/keycloak.js';
import { mailDomain, reasonToSkipMail } from '../systems/mail.js';
import { reasonToSkipOpenLdap } from '../systems/openldap.js';
import { reasonToSkipSftp } from '../systems/sftp.js';
import { vaultBuild } from '../systems/vault.js';
import { DAY_MS, processOf, skip } from '../time/skipping.js';
import { cut, joined } from './support/people.js';
import { startRealSystems } from './support/real-systems.js';
import type { RealSystems } from './support/real-systems.js';

const needed = await Promise.all([reasonToSkipOpenLdap(), reasonToSkipMail(), reasonToSkipSftp()]);
const missing = needed.filter((one) => one !== undefined);
const noKeycloak = missing.length > 0 ? 'not asked' : await reasonToSkipKeycloak();
const vault = await vaultBuild();
const unless = (reason: string | undefined) => (reason === undefined ? it : it.skip);
const title = [
  'a leaver on real systems',
  ...missing.map((one) => `skipped: ${one}`),
  ...(noKeycloak === undefined ? [] : [`Keycloak skipped: ${noKeycloak}`]),
  ...(vault.skip === undefined ? [] : [`Vault skipped: ${vault.skip}`]),
].join('; ');

/** One person is cut; each row of the tiers is then looked at with the target's own client, never with Tenure. */
(missing.length === 0 ? describe : describe.skip)(title, () => {
  const password = `Own-${randomBytes(9).toString('hex')}`;
  let systems: RealSystems;
  let world: World;
  let boss: IdentityId;
  let id: IdentityId;
  let sso: { realm: Realm; user: string; access: string; refresh: string } | undefined;
  let privileged: { token: string; role: string; session: Client; isOpen: () => boolean } | undefined;
  let tail: Awaited<ReturnType<typeof processOf>>;
  const login = () => `pada.test${world.tag}`;
  const mailbox = (person: string) => `p${person}.test${world.tag}@${mailDomain}`;

  beforeAll(async () => {
    systems = await startRealSystems({ keycloak: noKeycloak === undefined, vault: vault.program });
    world = await createWorld({ policy: systems.policy });
    boss = await joined(world, 'boss');
    id = await joined(world, 'ada', { manager: 'boss' });
    for (const person of ['boss', 'ada']) await systems.mail.addUser(mailbox(person), password);
    await linkMailbox();
    await useDirectory();
    await useSso();
    await useVault();
    await cut(world, 'ada');
    tail = await processOf(world, id, 'leaver', (row) => row.state === 'tail' && row.due_at !== null);
    await eventually(
      async () => ((await proofs()).includes('delivery proven') ? true : undefined),
      'the handover',
      90_000,
    );
  }, 400_000);
  afterAll(async () => {
    await privileged?.session.end().catch(() => undefined);
    await world?.stop();
    await systems?.stop();
  });

  const proofs = async (application?: string): Promise<readonly string[]> => {
    const rows = await world.deps.db
      .selectFrom('evidence')
      .innerJoin('process', 'process.process_id', 'evidence.process_id')
      .select(['check_kind', 'verdict', 'application'])
      .where('evidence.identity_id', '=', id)
      .where('process.kind', '=', 'leaver')
      .orderBy('at')
      .execute();
    return rows
      .filter((row) => application === undefined || row.application === application)
      .map((row) => `${row.check_kind} ${row.verdict}`);
  };

  /** As an administrator onboards mailboxes that were there before Tenure. */
  async function linkMailbox(): Promise<void> {
    const door = await openDoor(world);
    const headers = { authorization: `Bearer ${door.token}`, 'content-type': 'application/json' };
    const path = `${door.url}/v1/applications/mail/imports`;
    const begun = await fetch(path, { method: 'POST', headers, body: '{}' });
    const { importId } = (await begun.json()) as { importId: string };
    await eventually(async () => {
      const seen = (await (await fetch(`${path}/${importId}`, { headers })).json()) as Record<string, unknown>;
      if (seen['state'] === 'done') return true;
      throw new Error(JSON.stringify(seen));
    }, 'the import');
    for (const [person, identity] of [
      ['boss', boss],
      ['ada', id],
    ] as const) {
      const link = { nativeId: mailbox(person), identityId: identity };
      const answer = await fetch(path.replace('/imports', '/links'), {
        method: 'POST',
        headers,
        body: JSON.stringify(link),
      });
      expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
    }
    await door.app.close();
  }

  async function useDirectory(): Promise<void> {
    const [entry] = await systems.directory.search(systems.directory.suffix, `(uid=${login()})`, 'dn');
    await systems.directory.apply(
      `dn: ${entry?.dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${password}\n`,
    );
    expect(await bind()).toBe('in');
    expect(await groupsOf()).toEqual(['staff']);
  }
  /** The directory's own client, as the person. */
  async function bind(): Promise<string> {
    const { url, suffix } = systems.directory;
    const [entry] = await systems.directory.search(suffix, `(uid=${login()})`, 'dn');
    const args = ['-x', '-H', url, '-D', entry?.dn ?? '', '-w', password];
    return run('ldapwhoami', args, { env: systemEnvironment }).then(
      () => 'in',
      (error: unknown) => `out ${String((error as { code?: unknown }).code)}`,
    );
  }
  /** From the group's side. */
  async function groupsOf(): Promise<readonly string[]> {
    const { suffix } = systems.directory;
    const groups = await systems.directory.search(`ou=groups,${suffix}`, '(objectClass=groupOfNames)', 'cn', 'member');
    return groups
      .filter(({ values }) => (values['member'] ?? []).some((dn) => dn.startsWith(`uid=${login()},`)))
      .map(({ values }) => values['cn']?.[0] ?? '');
  }

  async function useSso(): Promise<void> {
    const realm = systems.sso;
    if (realm === undefined) return;
    const found = (await realm.admin('GET', `/users?exact=true&username=${login()}`)).body as Json[];
    const user = String(found[0]?.['id']);
    const credential = { type: 'password', value: password, temporary: false };
    await realm.admin('PUT', `/users/${user}/reset-password`, credential);
    const { status, body } = await realm.token({
      grant_type: 'password',
      username: login(),
      password,
      scope: 'openid',
    });
    expect({ status, body }).toMatchObject({ status: 200 });
    sso = { realm, user, access: String(body['access_token']), refresh: String(body['refresh_token']) };
    expect(await userInfo(realm, sso.access)).toBe(200);
    const account = (await realm.admin('GET', `/users/${user}`)).body as Json;
    await realm.admin('PUT', `/users/${user}`, { ...account, credentials: [otp] });
    expect(await credentialTypes()).toContain('otp');
  }
  const credentialTypes = async (): Promise<readonly unknown[]> =>
    ((await sso!.realm.admin('GET', `/users/${sso!.user}/credentials`)).body as Json[]).map((one) => one['type']);

  async function useVault(): Promise<void> {
    const at = systems.vault;
    if (at === undefined) return;
    const token = await at.signIn(login());
    const { user: role, password: secret } = await at.credentials(login(), token);
    const session = await at.openDatabase(role, secret);
    let isOpen = true;
    session.on('end', () => {
      isOpen = false;
    });
    privileged = { token, role, session, isOpen: () => isOpen };
    expect((await at.vault.call('GET', 'auth/token/lookup-self', undefined, token)).status).toBe(200);
  }

  it('T1, OpenLDAP: the person’s own password is refused, also after somebody enabled the account again', async () => {
    expect(await bind()).toBe('out 49');
    expect(await proofs('directory')).toContain('sign-in proven');
    const { suffix } = systems.directory;
    const [entry] = await systems.directory.search(suffix, `(uid=${login()})`, 'dn', 'pwdAccountLockedTime');
    expect(entry?.values['pwdaccountlockedtime']).toEqual(['000001010000Z']);
    await systems.directory.apply(`dn: ${entry?.dn}\nchangetype: modify\ndelete: pwdAccountLockedTime\n`);
    expect(await bind()).toBe('out 49');
    await systems.directory.apply(
      `dn: ${entry?.dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
    );
  });

  it('T2, OpenLDAP: no group has the person any more', async () => {
    expect(await groupsOf()).toEqual([]);
  });

  unless(noKeycloak)(
    'T1, Keycloak: tokens from before the cut are refused, no second factor is left, the old password is gone',
    async () => {
      const { realm, user, access, refresh } = sso!;
      expect((await realm.token({ grant_type: 'refresh_token', refresh_token: refresh })).body['error']).toBe(
        'invalid_grant',
      );
      expect(await userInfo(realm, access)).toBe(401);
      expect((await realm.admin('GET', `/users/${user}/sessions`)).body).toEqual([]);
      expect(await credentialTypes()).toEqual(['password']);
      const account = (await realm.admin('GET', `/users/${user}`)).body as Json;
      expect(account['enabled']).toBe(false);
      await realm.admin('PUT', `/users/${user}`, { ...account, enabled: true });
      const again = await realm.token({ grant_type: 'password', username: login(), password });
      expect(again.body).toMatchObject({ error: 'invalid_grant', error_description: 'Invalid user credentials' });
      await realm.admin('PUT', `/users/${user}`, { ...account, enabled: false });
      const seen = await proofs('sso');
      for (const proof of ['sign-in proven', 'sessions proven', 'credentials proven']) expect(seen).toContain(proof);
    },
  );

  unless(vault.skip)(
    'T2, Vault: the token and the lease are gone, and the open database session was ended',
    async () => {
      const at = systems.vault!;
      const { token, role, isOpen } = privileged!;
      expect((await at.vault.call('GET', 'auth/token/lookup-self', undefined, token)).status).toBe(403);
      const leases = await at.vault.call('LIST', `sys/leases/lookup/database/creds/${login()}`);
      expect(leases.data['keys'] ?? []).toEqual([]);
      await eventually(() => Promise.resolve(isOpen() ? undefined : true), 'the end of the session');
      const rows = await at.database.query('select 1 from pg_roles where rolname = $1', [role]);
      expect(rows.rowCount).toBe(0);
      expect(await proofs('vault')).toContain('privileges proven');
    },
  );

  it('T1 and T3, Dovecot and Exim: the mailbox is closed; what is sent to it arrives at the delegate, and the sender gets the reply', async () => {
    expect(await systems.mail.closedKeys()).toContain(`shared/closed/${mailbox('ada')}`);
    const transport = createTransport({ host: '127.0.0.1', port: systems.mail.ports.smtp, ignoreTLS: true });
    const from = proofSender.replace('@', '+customer@');
    await transport.sendMail({ from, to: mailbox('ada'), subject: 'An order for Ada', text: 'Ten of each, please.' });
    transport.close();
    await eventually(async () => {
      const texts = await systems.mail.messages(mailbox('boss'));
      return texts.some((text) => text.includes('An order for Ada')) ? true : undefined;
    }, 'the message at the delegate');
    await eventually(async () => {
      const texts = await systems.mail.messages(proofSender);
      return texts.some((text) => text.includes(`+customer@`) && text.includes(`Pada Test${world.tag} has left.`))
        ? true
        : undefined;
    }, 'the reply');
    expect((await systems.mail.messages(mailbox('ada'))).filter((text) => text.includes('An order'))).toEqual([]);
  });

  it('T1, SFTP: the file that payroll reads says inactive', async () => {
    const [, ...rows] = readCsv(await readFile(join(systems.files.inbox, 'accounts.csv'), 'utf8'));
    expect(rows.filter((row) => row[1] === login()).map((row) => row[2])).toEqual(['inactive']);
    expect(rows.filter((row) => row[1] === `pboss.test${world.tag}`).map((row) => row[2])).toEqual(['active']);
  });

  it('reports it by itself, signed, with every deadline judged', async () => {
    const row = await world.deps.db
      .selectFrom('report')
      .selectAll()
      .where('identity_id', '=', id)
      .orderBy('version', 'desc')
      .executeTakeFirstOrThrow();
    const text = await world.deps.keys.decryptFor(world.deps.db, id, `report/${row.report_id}`, row.body);
    if (typeof text !== 'string') throw new Error('a kept report is text');
    const { report } = await verifyReport(text, { keys: [world.signer.publicKey] });
    const tiers = new Set(report.actions.map((one) => one.tier));
    expect([...tiers].sort()).toEqual(['T1', 'T2', 'T3']);
    // Met or missed depends on how busy the machine is; what nobody can prove by a sign-in (a row in a file) is never called met.
    const unjudged = report.actions.filter((one) => !['met', 'missed'].includes(one.deadline));
    expect(unjudged.filter((one) => one.state !== 'unprovable')).toEqual([]);
    expect(report.actions.filter((one) => one.state === 'refuted')).toEqual([]);
  });

  it('T4: found in the disabled unit after 30 days and still refused; gone after 90', async () => {
    await skip(world, tail.workflow_id, 31 * DAY_MS);
    const { suffix } = systems.directory;
    const archived = await eventually(async () => {
      const found = await systems.directory.search(`ou=disabled,${suffix}`, `(uid=${login()})`, 'dn');
      return found.length === 1 ? found : undefined;
    }, 'the archive');
    expect(archived[0]?.dn).toContain(`ou=disabled,${suffix}`);
    expect(await bind()).toBe('out 49');
    await skip(world, tail.workflow_id, 60 * DAY_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect(await systems.directory.search(suffix, `(uid=${login()})`, 'dn')).toEqual([]);
    if (sso !== undefined) expect((await sso.realm.admin('GET', `/users/${sso.user}`)).status).toBe(404);
  }, 120_000);
});
