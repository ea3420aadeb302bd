import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Json, Realm } from '../systems/keycloak.js';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { connectorTo, groupIn, otp, sampleAccount, signInPage, userInfo } from './identity-provider-harness.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';

const reason = await reasonToSkipKeycloak();
const password = new Secret('Old-secret-1!');

describe('identity-provider with a real Keycloak', () => {
  if (reason !== undefined) {
    it.skip(`skipped: ${reason}`, () => undefined);
    return;
  }
  let realm: Realm;
  let connector: Connector;
  beforeAll(async () => {
    const brute = { bruteForceProtected: true, failureFactor: 3, maxFailureWaitSeconds: 900, accessTokenLifespan: 300 };
    realm = await (await startKeycloak()).createRealm({ realm: brute });
    connector = connectorTo(realm);
  }, 300_000);
  afterAll(async () => {
    await connector.close();
    await realm.drop();
  });

  const newAccount = async (): Promise<{ ref: AccountRef; login: string }> => {
    const spec = sampleAccount();
    const { ref } = await connector.create!(spec, newContext());
    await connector.setSecret!(ref, password, newContext());
    return { ref, login: spec.login };
  };
  const signIn = async (username: string, scope = 'openid'): Promise<Json> =>
    (await realm.token({ grant_type: 'password', username, password: password.reveal(), scope })).body;
  const refresh = async (token: unknown): Promise<unknown> => {
    const { status, body } = await realm.token({ grant_type: 'refresh_token', refresh_token: String(token) });
    return status === 200 ? 'accepted' : body['error_description'];
  };

  it('refuses the refresh token and the offline token after a revocation, and says until when the access token lives', async () => {
    const { ref, login } = await newAccount();
    const online = await signIn(login);
    const offline = await signIn(login, 'openid offline_access');
    // The tokens are good before the cut, so that their refusal means something.
    expect([await refresh(online['refresh_token']), await refresh(offline['refresh_token'])]).toEqual([
      'accepted',
      'accepted',
    ]);
    expect(await userInfo(realm, String(online['access_token']))).toBe(200);
    expect((await connector.listSessions!(ref, newContext())).count).toBe(2);
    const before = Date.now();
    expect((await connector.revokeSessions!(ref, newContext())).outcome).toBe('applied');
    expect(await refresh(online['refresh_token'])).not.toBe('accepted');
    expect(await refresh(offline['refresh_token'])).not.toBe('accepted');
    expect(await userInfo(realm, String(online['access_token']))).toBe(401);
    expect(await userInfo(realm, String(offline['access_token']))).toBe(401);
    const after = await connector.listSessions!(ref, newContext());
    expect(after.count).toBe(0);
    // Whoever checks the token alone goes on taking it until it ends: not before what the connector promised.
    const [, payload = ''] = String(offline['access_token']).split('.');
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp: number };
    expect(after.residual?.what).toBe('access-token');
    expect(Date.parse(after.residual?.until ?? '')).toBeGreaterThanOrEqual(exp * 1000);
    expect(Date.parse(after.residual?.until ?? '')).toBeLessThanOrEqual(before + 300_000 + 60_000);
    expect(exp * 1000).toBeGreaterThan(Date.now());
  });

  it('a logout alone lets an offline token of the same second live: what revokeSessions does beyond it is needed', async () => {
    const { ref, login } = await newAccount();
    const offline = await signIn(login, 'openid offline_access');
    await realm.admin('POST', `/users/${ref.nativeId}/logout`);
    const seen = await connector.listSessions!(ref, newContext());
    expect(seen.count).toBe(1);
    expect((await connector.revokeSessions!(ref, newContext())).outcome).toBe('applied');
    expect(await refresh(offline['refresh_token'])).not.toBe('accepted');
  });

  it('takes the longest life of a client, and says that a hidden one is hidden', async () => {
    const { ref } = await newAccount();
    const [app] = (await realm.admin('GET', `/clients?clientId=${realm.app}`)).body as Json[];
    const path = `/clients/${String(app?.['id'])}`;
    const own = { ...app, attributes: { ...(app?.['attributes'] as Json), 'access.token.lifespan': '7200' } };
    await realm.admin('PUT', path, own);
    const residual = (await connector.listSessions!(ref, newContext())).residual?.until ?? '';
    expect(Date.parse(residual)).toBeGreaterThan(Date.now() + 7_000_000);
    await realm.admin('PUT', path, { ...own, attributes: { ...own.attributes, 'access.token.lifespan': '' } });
    const poor = await (await startKeycloak()).createRealm({ roles: ['manage-users', 'view-users', 'query-users'] });
    const hidden = connectorTo(poor);
    try {
      const made = await hidden.create!(sampleAccount(), newContext());
      await expect(hidden.listSessions!(made.ref, newContext())).rejects.toMatchObject({
        code: 'FORBIDDEN',
        targetCode: 'lifespan-hidden',
      });
      expect((await hidden.validate(newContext())).map(({ code }) => code)).toContain('lifespan-hidden');
    } finally {
      await hidden.close();
      await poor.drop();
    }
  });

  it('a lock after wrong passwords is locked, never disabled, for a read and for a probe', async () => {
    const { ref, login } = await newAccount();
    for (let tries = 0; tries < 5; tries += 1) {
      await realm.token({ grant_type: 'password', username: login, password: `wrong-${tries}` });
    }
    expect((await connector.get(ref, newContext()))?.status).toBe('locked');
    expect((await connector.probeSignIn!(login, password, newContext())).answer).toBe('locked');
    expect((await connector.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('mismatch');
    await connector.disable!(ref, newContext());
    expect((await connector.get(ref, newContext()))?.status).toBe('disabled');
  });

  it('a required action keeps somebody out and proves nothing', async () => {
    const { ref, login } = await newAccount();
    const actions = [{ attribute: 'requiredActions', op: 'add', value: ['UPDATE_PASSWORD'] }] as const;
    expect((await connector.update!(ref, actions, newContext())).outcome).toBe('applied');
    expect((await connector.update!(ref, actions, newContext())).outcome).toBe('already-in-state');
    expect(((await realm.admin('GET', `/users/${ref.nativeId}`)).body as Json)['requiredActions']).toEqual([
      'UPDATE_PASSWORD',
    ]);
    expect((await connector.probeSignIn!(login, password, newContext())).answer).toBe('unknown');
    await connector.update!(ref, [{ ...actions[0], op: 'remove' }], newContext());
    expect((await connector.probeSignIn!(login, password, newContext())).answer).toBe('accepted');
  });

  it('takes second factors, keys, codes and consents away, and leaves the password', async () => {
    const { ref, login } = await newAccount();
    const made = ['webauthn', 'webauthn-passwordless', 'recovery-authn-codes'].map((type) => ({
      type,
      userLabel: type,
      secretData: '{}',
      credentialData: '{}',
    }));
    await realm.admin('PUT', `/users/${ref.nativeId}`, { credentials: [otp, ...made] });
    expect((await connector.probeSignIn!(login, password, newContext())).answer).not.toBe('accepted');
    const kinds = (await connector.listCredentials!(ref, newContext())).credentials.map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['otp', 'recovery-codes', 'webauthn', 'webauthn']);
    expect((await connector.revokeCredentials!(ref, newContext())).outcome).toBe('applied');
    const left = (await realm.admin('GET', `/users/${ref.nativeId}/credentials`)).body as Json[];
    expect(left.map(({ type }) => type)).toEqual(['password']);
    expect((await connector.probeSignIn!(login, password, newContext())).answer).toBe('accepted');
  });

  it('the sign-in page asks for the second factor until it is taken away, and offers no prompt for it after that', async () => {
    const { ref, login } = await newAccount();
    await realm.admin('PUT', `/users/${ref.nativeId}`, { credentials: [otp] });
    expect(await signInPage(realm, login, password.reveal())).toBe('otp');
    expect((await connector.revokeCredentials!(ref, newContext())).outcome).toBe('applied');
    expect(await signInPage(realm, login, password.reveal())).toBe('in');
    expect(await signInPage(realm, login, 'Another-secret-1!')).toBe('refused');
  });

  it('a password that the realm refuses leaves password and lock as they were: seal is one transaction', async () => {
    const { ref, login } = await newAccount();
    await realm.admin('PUT', '', { passwordPolicy: 'length(60)' });
    await expect(connector.seal!(ref, Secret.random(), newContext())).rejects.toMatchObject({ code: 'INVALID' });
    await realm.admin('PUT', '', { passwordPolicy: '' });
    expect((await connector.probeSignIn!(login, password, newContext())).answer).toBe('accepted');
  });

  it('a fault between logout and the end of offline sessions is PARTIAL, and repeating ends it', async () => {
    const { ref, login } = await newAccount();
    const offline = await signIn(login, 'openid offline_access');
    const broken = await startBreaking(
      new URL(realm.url).origin,
      (method, path) => method === 'DELETE' && path.includes('/sessions/'),
      403,
    );
    const through = connectorTo(realm, { baseUrl: broken.url });
    try {
      await expect(through.revokeSessions!(ref, newContext())).rejects.toMatchObject({ code: 'PARTIAL', sent: true });
      expect((await connector.listSessions!(ref, newContext())).count).toBe(1);
      broken.heal();
      expect((await through.revokeSessions!(ref, newContext())).outcome).toBe('applied');
      expect(await refresh(offline['refresh_token'])).not.toBe('accepted');
    } finally {
      await through.close();
      await broken.close();
    }
  });

  it('archives into a group or by an attribute, and an enable takes the mark away', async () => {
    await groupIn(realm, 'former');
    for (const archive of [{ group: '/former' }, { attribute: 'archivedAt', value: 'archived' }]) {
      const archiving = connectorTo(realm, { archive });
      const { ref } = await newAccount();
      await archiving.disable!(ref, newContext());
      expect((await archiving.archive!(ref, newContext())).outcome).toBe('applied');
      expect((await archiving.archive!(ref, newContext())).outcome).toBe('already-in-state');
      const mark = async (): Promise<unknown> =>
        'group' in archive
          ? ((await realm.admin('GET', `/users/${ref.nativeId}/groups`)).body as Json[]).length
          : ((((await realm.admin('GET', `/users/${ref.nativeId}`)).body as Json)['attributes'] as Json)[
              'archivedAt'
            ] ?? []);
      expect(await mark()).toEqual('group' in archive ? 1 : ['archived']);
      expect((await archiving.enable!(ref, newContext())).outcome).toBe('applied');
      expect(await mark()).toEqual('group' in archive ? 0 : []);
      expect((await archiving.get(ref, newContext()))?.status).toBe('enabled');
      await archiving.close();
    }
  });

  it('gives and takes realm roles and nested groups, and refuses what is not configured', async () => {
    const roles = connectorTo(realm, { entitlements: { groups: true, realmRoles: true, clientRoles: [realm.app] } });
    const parent = await groupIn(realm, 'sales');
    await realm.admin('POST', `/groups/${parent}/children`, { name: 'north & south' });
    await realm.admin('POST', '/roles', { name: 'auditor' });
    const { ref } = await newAccount();
    for (const name of ['realm-role:auditor', 'group:/sales/north & south']) {
      const wanted = { application: 'x', name };
      expect((await roles.addMember!(wanted, ref, newContext())).outcome).toBe('applied');
      expect((await roles.get(ref, newContext()))?.entitlements).toContain(name);
      expect((await roles.listMembers!(wanted, undefined, newContext())).items.map(({ nativeId }) => nativeId)).toEqual(
        [ref.nativeId],
      );
      expect((await roles.removeMember!(wanted, ref, newContext())).outcome).toBe('applied');
      expect((await roles.get(ref, newContext()))?.entitlements).not.toContain(name);
    }
    await expect(
      connector.addMember!({ application: 'x', name: 'realm-role:auditor' }, ref, newContext()),
    ).rejects.toMatchObject({ code: 'INVALID' });
    await roles.close();
  });

  it('names at set-up an attribute that the realm would drop, and a rename that it forbids', async () => {
    const dropping = connectorTo(realm, { attributes: { email: 'email', badge: 'badge' } });
    expect((await dropping.validate(newContext())).map(({ code }) => code)).toContain('attribute-not-declared');
    await dropping.close();
    await realm.admin('PUT', '', { editUsernameAllowed: false });
    expect((await connector.validate(newContext())).map(({ code }) => code)).toContain('no-rename');
    const minimal = connectorTo(realm, { rename: false, signIn: undefined, entitlements: { groups: false } });
    expect(minimal.capabilities()).toEqual(committedCapabilities('identity-provider', 'minimal'));
    await minimal.close();
    await realm.admin('PUT', '', { editUsernameAllowed: true });
  });

  it('keeps its token, and asks for a new one after the server has refused it', async () => {
    const counting = await startBreaking(new URL(realm.url).origin, () => false);
    const through = connectorTo(realm, { baseUrl: counting.url });
    try {
      for (let times = 0; times < 3; times += 1) expect((await through.health(newContext())).ok).toBe(true);
      expect(counting.tokens()).toBe(1);
      counting.breakNext(401);
      expect((await through.health(newContext())).code).toBe('UNAUTHENTICATED');
      expect((await through.health(newContext())).ok).toBe(true);
      expect(counting.tokens()).toBe(2);
    } finally {
      await through.close();
      await counting.close();
    }
  });

  it('believes no lying target: a disable that changes nothing is a mismatch, an answer that is not understood is unknown', async () => {
    const { ref, login } = await newAccount();
    const lying = await startBreaking(new URL(realm.url).origin, (method) => method === 'PUT', 204);
    const through = connectorTo(realm, { baseUrl: lying.url });
    try {
      await through.disable!(ref, newContext());
      expect((await through.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('mismatch');
      lying.breakNext(400);
      expect((await through.probeSignIn!(login, password, newContext())).answer).toBe('unknown');
    } finally {
      await through.close();
      await lying.close();
    }
  });
});

interface Breaking {
  readonly url: string;
  tokens(): number;
  heal(): void;
  breakNext(status: number): void;
  close(): Promise<void>;
}

/** A proxy that answers the chosen requests itself, with this status and no body, instead of passing them on. */
async function startBreaking(
  origin: string,
  isBroken: (method: string, path: string) => boolean,
  status = 500,
): Promise<Breaking> {
  let healed = false;
  let next: number | undefined;
  let tokens = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = 'GET', url = '/', headers } = request;
      const forced = next;
      next = undefined;
      if (forced !== undefined || (!healed && isBroken(method, url))) {
        response.writeHead(forced ?? status).end();
        return;
      }
      if (url.endsWith('/token')) tokens += 1;
      const { authorization = '', 'content-type': type = 'application/json' } = headers;
      const body = Buffer.concat(chunks);
      void fetch(`${origin}${url}`, {
        method,
        headers: { authorization, 'content-type': type },
        ...(body.length > 0 ? { body } : {}),
      }).then(
        async (answer) => {
          const location = answer.headers.get('location');
          response.writeHead(answer.status, location === null ? {} : { location });
          response.end(await answer.text());
        },
        () => response.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens: () => tokens,
    heal: () => (healed = true),
    breakNext: (given) => (next = given),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
