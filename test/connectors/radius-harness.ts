import { randomUUID } from 'node:crypto';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { radiusFactory } from '../../src/connectors/radius/index.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import type { FreeRadius } from '../systems/freeradius.js';
import { radiusSecret } from '../systems/freeradius.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

/** The example of docs/connectors/radius.md, on the test's server. */
export function radiusConfig(server: FreeRadius, passwords: 'directory' | 'local') {
  return {
    url: 'env:RADIUS_DATABASE',
    passwords,
    localLogins: ['tenure-canary'],
    attributes: {
      externalId: { table: 'check', attribute: 'Tenure-Key' },
      profile: { table: 'reply', attribute: 'Filter-Id', required: true },
      address: { table: 'reply', attribute: 'Callback-Id' },
    },
    server: { host: '127.0.0.1', port: server.authPort, secret: 'env:RADIUS_SECRET' },
    sessions: {
      gateways: {
        '127.0.0.1': { port: server.gatewayPort, secret: 'env:RADIUS_SECRET', messageAuthenticator: 'optional' },
      },
      maxSeconds: 43_200,
    },
  } as const;
}

export function radiusConnector(
  server: FreeRadius,
  passwords: 'directory' | 'local',
  changes: Readonly<Record<string, unknown>> = {},
  url = server.serviceUrl,
  secret = radiusSecret,
): Connector {
  const secrets = createSecretResolver({ RADIUS_DATABASE: url, RADIUS_SECRET: secret });
  const config = { ...radiusConfig(server, passwords), ...changes };
  return radiusFactory.create('x', config, { secrets, logger: newContext().logger });
}

/** A session as a gateway reports it: Accounting-Start at FreeRADIUS, and the gateway's own record of it. */
export async function startSession(server: FreeRadius, login: string, gateway = '127.0.0.1'): Promise<string> {
  const id = `s-${randomUUID()}`;
  await server.query('insert into gateway_session (id) values ($1)', [id]);
  const printed = await server.client(
    'acct',
    `User-Name = "${login}", Acct-Session-Id = "${id}", NAS-IP-Address = ${gateway}, Acct-Status-Type = Start`,
  );
  if (!printed.includes('Accounting-Response')) throw new Error('the session was not taken');
  return id;
}

/** The kit's view of FreeRADIUS' tables; the oracle is the owner's own connection. */
export function radiusHarness(server: FreeRadius, passwords: 'directory' | 'local'): Harness {
  const connector = radiusConnector(server, passwords);
  const changed = (change: (url: URL) => void): string => {
    const url = new URL(server.serviceUrl);
    change(url);
    return url.href;
  };
  const put = (login: string, state: string) =>
    server.query(`update radusergroup set groupname = $2 where username = $1 and groupname like 'tenure-%'`, [
      login,
      state,
    ]);
  return {
    name: 'radius',
    connector,
    factory: radiusFactory,
    committed: committedCapabilities('radius', passwords),
    wrongConfig: {
      config: { ...radiusConfig(server, passwords), url: 'postgresql://plain', adoptionKey: 'nope' },
      paths: ['url'],
    },
    sampleAccount: () => ({
      objectClass: 'account',
      login: `u.${randomUUID().slice(0, 20)}`,
      enabled: true,
      attributes: { profile: 'standard', address: 'Research' },
    }),
    trickyAttributes: {
      profile: `Zoë "Quote" O'Brien; drop table radcheck; -- %{User-Name} <b>王秀英</b>`,
      address: 'x'.repeat(253),
    },
    sampleDelta: { attribute: 'address', op: 'replace', value: 'Finance' },
    requiredAttribute: 'profile',
    unknownAttribute: 'favouriteColour',
    absentNativeId: 'nobody.here',
    group: 'vpn-staff',
    peek: (ref) => peek(server, ref),
    countByLogin: async (login) =>
      Number(
        (
          await server.query(
            `select count(*)::int as count from radusergroup where username = $1 and groupname like 'tenure-%'`,
            [login],
          )
        )[0]?.['count'],
      ),
    snapshot: async () =>
      JSON.stringify([
        await server.query('select * from radcheck order by id'),
        await server.query('select * from radreply order by id'),
        await server.query('select * from radusergroup order by id'),
      ]),
    plant: {
      attribute: async (ref, value) =>
        void (await server.query(`update radreply set value = $2 where username = $1 and attribute = 'Callback-Id'`, [
          ref.nativeId,
          value,
        ])),
      enabled: async (ref, enabled) => void (await put(ref.nativeId, enabled ? 'tenure-admitted' : 'tenure-denied')),
      membership: async (ref, held) => {
        await server.query(`delete from radusergroup where username = $1 and groupname = 'vpn-staff'`, [ref.nativeId]);
        if (held) {
          await server.query(`insert into radusergroup (username, groupname, priority) values ($1, 'vpn-staff', 1)`, [
            ref.nativeId,
          ]);
        }
      },
    },
    unreachable: () =>
      radiusConnector(
        server,
        passwords,
        {},
        changed((url) => (url.port = '9')),
      ),
    wrongCredential: () =>
      radiusConnector(
        server,
        passwords,
        {},
        changed((url) => (url.password = 'wrong')),
      ),
    throughProxy: async () => {
      const target = new URL(server.serviceUrl);
      const isCommit = (bytes: Buffer): boolean => bytes.includes('commit');
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, isCommit);
      const proxied = radiusConnector(
        server,
        passwords,
        {},
        changed((url) => (url.port = String(proxy.port))),
      );
      return behindProxy(proxy, proxied);
    },
    openSession: async (login) => {
      const id = await startSession(server, login);
      const held = () => server.query('select 1 from gateway_session where id = $1', [id]);
      return { isOpen: async () => (await held()).length === 1, close: () => Promise.resolve() };
    },
    stop: () => connector.close(),
  };
}

async function peek(server: FreeRadius, ref: AccountRef): Promise<Peeked | undefined> {
  const login = ref.nativeId;
  const groups = (await server.query('select groupname from radusergroup where username = $1', [login])).map((row) =>
    String(row['groupname']),
  );
  const states = groups.filter((name) => name.startsWith('tenure-'));
  if (states.length === 0) return undefined;
  if (states.length > 1) throw new Error('two rows say how the account stands');
  const rows = await server.query('select attribute, value from radreply where username = $1', [login]);
  const names: Readonly<Record<string, string>> = { 'Filter-Id': 'profile', 'Callback-Id': 'address' };
  return {
    login,
    enabled: states[0] === 'tenure-admitted',
    attributes: Object.fromEntries(
      rows.map(({ attribute, value }) => [names[String(attribute)] ?? 'other', String(value)]),
    ),
    entitlements: groups.filter((name) => !name.startsWith('tenure-')),
  };
}
