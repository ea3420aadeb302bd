import { createSocket } from 'node:dgram';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { radiusConfigSchema } from '../../src/connectors/radius/config.js';
import { radiusCapabilities } from '../../src/connectors/radius/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { FreeRadius } from '../systems/freeradius.js';
import { reasonToSkipFreeRadius, startFreeRadius } from '../systems/freeradius.js';
import type { OpenLdap } from '../systems/openldap.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { radiusConfig, radiusConnector, startSession } from './radius-harness.js';

it('declares neither sessions nor a probe without a gateway and a server', () => {
  const nowhere = { authPort: 1, gatewayPort: 1 } as FreeRadius;
  const { server: _server, sessions: _sessions, ...bare } = radiusConfig(nowhere, 'directory');
  expect(radiusCapabilities(radiusConfigSchema.parse(bare))).toEqual(committedCapabilities('radius', 'minimal'));
});

const reason = (await reasonToSkipFreeRadius()) ?? (await reasonToSkipOpenLdap());
const ours = new Secret('Aa1-only-tenure-knows-this-one');
const theirs = new Secret('directory-password-of-ada');

(reason === undefined ? describe : describe.skip)(`radius with users of slapd ${reason ?? ''}`, () => {
  let directory: OpenLdap;
  let server: FreeRadius;
  const open: Connector[] = [];
  const connect = (...args: Parameters<typeof radiusConnector> extends [unknown, ...infer Rest] ? Rest : never) => {
    const connector = radiusConnector(server, ...args);
    open.push(connector);
    return connector;
  };
  const account = async (connector: Connector, login: string): Promise<AccountRef> => {
    const spec = { objectClass: 'account', login, enabled: true, attributes: { profile: 'standard' } } as const;
    return (await connector.create!(spec, newContext())).ref;
  };
  const person = (login: string): Promise<void> =>
    directory.apply(`dn: uid=${login},ou=people,${directory.suffix}
changetype: add
objectClass: inetOrgPerson
uid: ${login}
cn: Sample Person
sn: Person
userPassword: ${theirs.reveal()}
`);
  const signIn = async (connector: Connector, login: string, secret: Secret) =>
    (await connector.probeSignIn!(login, secret, newContext())).answer;

  beforeAll(async () => {
    directory = await startOpenLdap();
    server = await startFreeRadius(directory);
  }, 240_000);
  afterEach(async () => {
    await Promise.all(open.splice(0).map((connector) => connector.close()));
  });
  afterAll(async () => {
    await server?.stop();
    await directory?.stop();
  });

  it('lets the directory’s password in only with a group row, and proves a cut with Tenure’s own secret', async () => {
    const connector = connect('directory');
    await person('ada');
    expect(await signIn(connector, 'ada', theirs)).toBe('wrong-secret');
    const ref = await account(connector, 'ada');
    expect(await signIn(connector, 'ada', theirs)).toBe('accepted');
    await connector.disable!(ref, newContext());
    expect(await signIn(connector, 'ada', theirs)).toBe('disabled');
    expect(await signIn(connector, 'ada', new Secret('wrong-password'))).toBe('wrong-secret');
    await connector.seal!(ref, ours, newContext());
    expect(await connector.probeSignIn!('ada', ours, newContext())).toEqual({
      answer: 'disabled',
      code: 'access-reject account-disabled',
      road: 'radius:access-request',
    });
    expect(await signIn(connector, 'ada', theirs)).toBe('wrong-secret');
    await connector.enable!(ref, newContext());
    expect([await signIn(connector, 'ada', theirs), await signIn(connector, 'ada', ours)]).toEqual([
      'accepted',
      'wrong-secret',
    ]);
  }, 120_000);

  it('keeps the password row of a local log-in, so that a canary made by seal and enable signs in', async () => {
    const connector = connect('directory');
    const ref = await account(connector, 'tenure-canary');
    await connector.seal!(ref, ours, newContext());
    await connector.enable!(ref, newContext());
    expect(await signIn(connector, 'tenure-canary', ours)).toBe('accepted');
  }, 60_000);

  it('sends attributes to the gateway as they were given, and refuses values that FreeRADIUS would run or expand', async () => {
    const connector = connect('local');
    const ref = await account(connector, 'grace');
    const profile = `Zoë "Quote" O'Brien %{User-Name}`;
    await connector.update!(ref, [{ attribute: 'profile', op: 'replace', value: profile }], newContext());
    await connector.setSecret!(ref, ours, newContext());
    const printed = await server.client('auth', `User-Name = "grace", User-Password = "${ours.reveal()}"`);
    expect(printed).toContain('Received Access-Accept');
    expect(printed).toContain(`Filter-Id = "Zoë \\"Quote\\" O'Brien %{User-Name}"`);
    for (const value of ['`id`', '"%{User-Name}"', "'x'", 'a\\nb', 'a\nb', 'x'.repeat(254)]) {
      const delta = [{ attribute: 'profile', op: 'replace', value }] as const;
      await expect(connector.update!(ref, delta, newContext())).rejects.toMatchObject({ code: 'INVALID' });
    }
  }, 60_000);

  it('takes no rows of somebody else’s name, and calls two state rows unknown', async () => {
    const connector = connect('directory');
    await server.query(
      `insert into radcheck (username, attribute, op, value) values ('eve', 'NT-Password', ':=', '0')`,
    );
    await expect(account(connector, 'eve')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const ref = await account(connector, 'half');
    await server.query(`insert into radusergroup (username, groupname) values ('half', 'tenure-denied')`);
    expect((await connector.get(ref, newContext()))?.status).toBe('unknown');
    const verified = await connector.verify({ ref, exists: true, status: 'disabled' }, newContext());
    expect(verified.verdict).toBe('unknown');
  }, 60_000);

  it('ends sessions by Disconnect-Request, and reads them back from radacct', async () => {
    const connector = connect('directory');
    const ref = await account(connector, 'mary');
    await startSession(server, 'mary');
    await startSession(server, 'mary');
    const before = await connector.listSessions!(ref, newContext());
    expect(before).toMatchObject({ count: 2, residual: { what: 'vpn-session' } });
    const context = newContext();
    expect((await connector.revokeSessions!(ref, context)).outcome).toBe('applied');
    expect(context.markers()).toBe(1);
    expect(await connector.listSessions!(ref, newContext())).toEqual({ count: 0, road: 'radius:accounting' });
    const ended = await server.query(`select acctterminatecause as cause from radacct where username = 'mary'`);
    expect(ended).toEqual([{ cause: 'Admin-Reset' }, { cause: 'Admin-Reset' }]);
  }, 60_000);

  it('says what a gateway refused, did not answer or does not offer; the session stays in the count', async () => {
    const connector = connect('directory');
    const ref = await account(connector, 'lin');
    const id = await startSession(server, 'lin');
    await server.query('update gateway_session set refuses = true where id = $1', [id]);
    const refused = connector.revokeSessions!(ref, newContext());
    await expect(refused).rejects.toMatchObject({ code: 'FORBIDDEN', sent: true, targetCode: 'disconnect-nak' });
    const silent = createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
    const { port } = silent.address();
    const gateways = { '127.0.0.1': { port, secret: 'env:RADIUS_SECRET' } };
    const deaf = connect('directory', { sessions: { gateways }, requestTimeoutMs: 2_500 });
    await expect(deaf.revokeSessions!(ref, newContext())).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    silent.close();
    const none = connect('directory', { sessions: {} });
    const unsupported = { code: 'UNSUPPORTED', sent: false, targetCode: 'gateway-without-disconnect' };
    await expect(none.revokeSessions!(ref, newContext())).rejects.toMatchObject(unsupported);
    expect((await connector.listSessions!(ref, newContext())).count).toBe(1);
  }, 60_000);

  it('refutes a cut when the server says accept, and knows nothing with a wrong shared secret or a dead server', async () => {
    const connector = connect('directory');
    const ref = await account(connector, 'kay');
    await connector.seal!(ref, ours, newContext());
    // A server that lies: the row that it reads says admitted again.
    await server.query(`update radusergroup set groupname = 'tenure-admitted' where username = 'kay'`);
    expect(await signIn(connector, 'kay', ours)).toBe('accepted');
    const wrong = connect('directory', { requestTimeoutMs: 2_500 }, server.serviceUrl, 'another-secret');
    expect((await wrong.probeSignIn!('kay', ours, newContext())).code).toMatch(/^UNAVAILABLE /);
    const findings = await wrong.validate(newContext());
    expect(findings).toMatchObject([{ severity: 'error', code: 'server-silent' }]);
    await server.kill();
    const dead = await connector.probeSignIn!('kay', ours, newContext());
    expect(dead).toMatchObject({ answer: 'unknown', code: 'UNAVAILABLE ECONNREFUSED' });
  }, 60_000);
});
