import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { activeDirectoryConfigSchema } from '../../src/connectors/active-directory/config.js';
import {
  guidBytes,
  guidText,
  hasPassed,
  ridOf,
  sidWithRid,
} from '../../src/connectors/active-directory/identifiers.js';
import { activeDirectoryCapabilities } from '../../src/connectors/active-directory/index.js';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import { LdapDirectory } from '../../src/connectors/shared/ldap/client.js';
import { allValues } from '../../src/connectors/shared/ldap/groups.js';
import { fileTime } from '../../src/domain/time/instants.js';
import type { SambaAd } from '../systems/samba-ad.js';
import { reasonToSkipSambaAd, startSambaAd } from '../systems/samba-ad.js';
import { activeDirectoryConfig, activeDirectoryConnector, activeDirectoryHarness } from './active-directory-harness.js';
import { describeConformance } from './conformance.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';

const reason = await reasonToSkipSambaAd();
// A domain takes ten seconds to provision, more on a busy machine: the kit and the rest share one, and no hook's time-out
// runs meanwhile.
const started = reason === undefined ? await startSambaAd() : undefined;
const domain = (): SambaAd => started!;
afterAll(() => started?.stop());

if (reason === undefined) {
  describeConformance('active-directory with Samba', () => Promise.resolve(activeDirectoryHarness(domain())));
}

const describeSamba = reason === undefined ? describe : describe.skip;

describeSamba(`active-directory on Samba${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let server: SambaAd;
  let connector: Connector;
  const others: Connector[] = [];
  const make = async (): Promise<{ ref: AccountRef; login: string; dn: string; secret: Secret }> => {
    const login = `u${randomUUID().slice(0, 8)}`;
    const attributes = { displayName: 'Sample' };
    const { ref } = await connector.create!({ objectClass: 'account', login, enabled: true, attributes }, newContext());
    const secret = Secret.random();
    await connector.setSecret!(ref, secret, newContext());
    return { ref, login, dn: `CN=${login},OU=People,${server.suffix}`, secret };
  };
  const answer = (login: string, secret: Secret) => connector.probeSignIn!(login, secret, newContext());
  const plant = (dn: string, attribute: string, value: string): Promise<void> =>
    server.apply(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n`);

  beforeAll(() => {
    server = domain();
    connector = activeDirectoryConnector(server);
  });
  afterAll(async () => {
    await Promise.all([connector, ...others].map((each) => each?.close()));
  });

  it('reads the sub-codes of a refused bind, and takes only 533 for a cut', async () => {
    const { ref, login, dn, secret } = await make();
    expect(await answer(login, secret)).toMatchObject({ answer: 'accepted', code: '0' });
    expect(await answer(login, Secret.random())).toMatchObject({ answer: 'wrong-secret', code: '49:52e' });
    await plant(dn, 'accountExpires', '130000000000000000');
    expect(await answer(login, secret)).toMatchObject({ answer: 'locked', code: '49:701' });
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'locked' });
    expect(await connector.enable!(ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect(await answer(login, secret)).toMatchObject({ answer: 'accepted' });
    await plant(dn, 'pwdLastSet', '0');
    expect(await answer(login, secret)).toMatchObject({ answer: 'unknown', code: '49:773' });
    await connector.seal!(ref, secret, newContext());
    expect(await answer(login, secret)).toMatchObject({ answer: 'disabled', code: '49:533' });
    expect(await answer(login, Secret.random())).toMatchObject({ answer: 'wrong-secret' });
  });

  it('a cut replaces the password: the old one is refused even after somebody enabled the account again', async () => {
    const { ref, login, secret } = await make();
    expect(await answer(login, secret)).toMatchObject({ answer: 'accepted' });
    const sealed = Secret.random();
    await connector.seal!(ref, sealed, newContext());
    expect(await answer(login, sealed)).toMatchObject({ answer: 'disabled', code: '49:533' });
    await connector.enable!(ref, newContext());
    expect(await answer(login, secret)).toMatchObject({ answer: 'wrong-secret', code: '49:52e' });
    expect(await answer(login, sealed)).toMatchObject({ answer: 'accepted' });
  });

  it('holds the end of a contract as the account’s own expiry, and an extension moves it', async () => {
    const { attributes } = activeDirectoryConfig({ ...server, ca: server.certificates.ca });
    const own = activeDirectoryConnector(server, { attributes: { ...attributes, expires: 'accountExpires' } });
    others.push(own);
    // As policy maps it: `expires: fileTime(employment.contractEndsAt)`.
    const ends = (ms: number): string => fileTime(new Date(Date.now() + ms).toISOString());
    const login = `u${randomUUID().slice(0, 8)}`;
    const made = { displayName: 'Sample', expires: ends(-60_000) };
    const { ref } = await own.create!({ objectClass: 'account', login, enabled: true, attributes: made }, newContext());
    const secret = Secret.random();
    await own.setSecret!(ref, secret, newContext());
    // Without Tenure's doing: the domain itself keeps them out.
    expect(await answer(login, secret)).toMatchObject({ answer: 'locked', code: '49:701' });
    for (const expires of [ends(86_400_000), fileTime('')]) {
      await own.update!(ref, [{ attribute: 'expires', op: 'replace', value: expires }], newContext());
      expect(await answer(login, secret)).toMatchObject({ answer: 'accepted' });
      expect(await own.get(ref, newContext())).toMatchObject({ attributes: { expires } });
    }
  });

  it('tells a lockout after wrong passwords from a cut, and ends it when the account is enabled', async () => {
    const { ref, login, secret } = await make();
    await plant(server.suffix, 'lockoutThreshold', '3');
    try {
      for (let tries = 0; tries < 4; tries += 1) await answer(login, Secret.random());
      expect(await answer(login, secret)).toMatchObject({ answer: 'locked', code: '49:775' });
      expect(await connector.get(ref, newContext())).toMatchObject({ status: 'locked' });
      expect(await connector.enable!(ref, newContext())).toMatchObject({ outcome: 'applied' });
      expect(await answer(login, secret)).toMatchObject({ answer: 'accepted' });
    } finally {
      await plant(server.suffix, 'lockoutThreshold', '0');
    }
  });

  it('lets a person change the password that was made for them', async () => {
    const accounts = { ...activeDirectoryConfig({ ...server, ca: '' }).accounts, mustChangePassword: true };
    const by = activeDirectoryConnector(server, { accounts });
    others.push(by);
    const { ref, dn } = await make();
    await by.resetCredentials!(ref, { put: () => Promise.resolve({ reference: 'r' }) }, newContext());
    expect((await server.search(dn, '(objectClass=user)', 'pwdLastSet'))[0]?.values['pwdlastset']).toEqual(['0']);
  });

  it('sees the primary group as held, and takes an account out of it', async () => {
    const { ref, dn } = await make();
    const staff = { application: 'x', name: 'staff' };
    const group = `CN=staff,OU=Groups,${server.suffix}`;
    await connector.addMember!(staff, ref, newContext());
    const [held] = await server.search(group, '(objectClass=group)', 'primaryGroupToken');
    await plant(dn, 'primaryGroupID', held!.values['primarygrouptoken']![0]!);
    const [shown] = await server.search(dn, '(objectClass=user)', 'memberOf');
    expect(shown?.values['memberof']).not.toContain(group);
    expect((await connector.get(ref, newContext()))?.entitlements).toContain('staff');
    const absent = { ref, exists: true, entitlementsAbsent: ['staff'] };
    expect(await connector.verify(absent, newContext())).toMatchObject({ verdict: 'mismatch' });
    expect(await connector.addMember!(staff, ref, newContext())).toMatchObject({ outcome: 'already-in-state' });
    expect(await connector.removeMember!(staff, ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect(await connector.verify(absent, newContext())).toMatchObject({ verdict: 'ok' });
  });

  it('archives into its OU; memberships follow, and an enable takes the account back', async () => {
    const { ref, login } = await make();
    await connector.addMember!({ application: 'x', name: 'staff' }, ref, newContext());
    await connector.disable!(ref, newContext());
    expect(await connector.archive!(ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect(await connector.archive!(ref, newContext())).toMatchObject({ outcome: 'already-in-state' });
    const place = async () => (await server.search(server.suffix, `(sAMAccountName=${login})`, 'cn'))[0]?.dn;
    expect(await place()).toBe(`CN=${login},OU=Disabled,${server.suffix}`);
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'disabled', entitlements: ['staff'] });
    await connector.enable!(ref, newContext());
    expect(await place()).toBe(`CN=${login},OU=People,${server.suffix}`);
  });

  it('refuses log-ins that Active Directory would not take, before anything is sent', async () => {
    for (const login of ['x'.repeat(21), 'a b*c', 'a@b', 'a/b', 'dot.']) {
      const spec = { objectClass: 'account', login, enabled: true, attributes: { displayName: 'x' } } as const;
      const refused = { code: 'INVALID', sent: false, attribute: 'login' };
      await expect(connector.create!(spec, newContext())).rejects.toMatchObject(refused);
    }
  });

  it('reads the members of a large group range by range', async () => {
    const { certificates, url } = server;
    const made = await Promise.all([make(), make(), make(), make(), make()]);
    for (const { ref } of made) await connector.addMember!({ application: 'x', name: 'staff' }, ref, newContext());
    const { readFileSync } = await import('node:fs');
    const directory = new LdapDirectory({
      url,
      mode: 'ldaps',
      ca: readFileSync(certificates.ca, 'utf8'),
      fingerprint: undefined,
      clientCertificate: undefined,
      bind: { name: server.service.name, password: new Secret(server.service.password) },
      requestTimeoutMs: 5_000,
      maxConnections: 1,
      referrals: 'ignore',
      searchPageSize: 100,
      binaryAttributes: [],
    });
    const group = `CN=staff,OU=Groups,${server.suffix}`;
    const read = await directory.run('test', newContext(), (session) => allValues(session, group, 'member', '1'));
    await directory.close();
    const [all] = await server.search(group, '(objectClass=group)', 'member');
    expect([...read].sort()).toEqual([...all!.values['member']!].sort());
    expect(read.length).toBeGreaterThanOrEqual(5);
  });
});

describe('identifiers of Active Directory', () => {
  it('are turned into text and back', () => {
    const bytes = Buffer.from('33221100554477668899aabbccddeeff', 'hex');
    expect(guidText(bytes)).toBe('00112233-4455-6677-8899-aabbccddeeff');
    expect(guidBytes('00112233-4455-6677-8899-aabbccddeeff')).toEqual(bytes);
    expect([guidText(Buffer.alloc(3)), guidBytes('nonsense')]).toEqual([undefined, undefined]);
    const sid = Buffer.from('010500000000000515000000010000000200000003000000f4010000', 'hex');
    expect([ridOf(sid), ridOf(sidWithRid(sid, 513)), ridOf(sid)]).toEqual([500, 513, 500]);
  });

  it('know that 0 and the greatest number never pass', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(['0', '9223372036854775807', undefined, 'x'].map((time) => hasPassed(time, now))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect([hasPassed('134116992000000000', now), hasPassed('134116992000000001', now)]).toEqual([true, false]);
  });
});

describe('the configuration of active-directory', () => {
  it('without groups and archive declares less, and never goes unencrypted', () => {
    const server = { suffix: 'DC=x,DC=test', url: 'ldaps://dc.x.test', domain: 'x.test', ca: '/x' };
    const { groups: _groups, archive: _archive, ...config } = activeDirectoryConfig(server);
    const capabilities = activeDirectoryCapabilities(activeDirectoryConfigSchema.parse(config));
    expect(capabilities).toEqual(committedCapabilities('active-directory', 'minimal'));
    const clear = activeDirectoryConfigSchema.safeParse({ ...config, url: 'ldap://127.0.0.1', tls: { mode: 'none' } });
    expect(clear.error?.issues.map((issue) => issue.path.join('.'))).toEqual(['tls.mode']);
  });
});
