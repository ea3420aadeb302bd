import type { AccountRef, MutationResult, OperationContext, SessionCount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';
import type { RealmContext } from './client.js';
import { admin, asList, inOrder, requireUser, textOf, userPath } from './client.js';

interface Sessions {
  readonly online: readonly string[];
  readonly offline: readonly string[];
}

/** Sessions that are signed in now, and the offline ones, whose tokens outlive every sign-out. */
async function readSessions(
  realm: RealmContext,
  id: string,
  operation: string,
  ctx: OperationContext,
): Promise<Sessions> {
  const read = async (rest: string): Promise<readonly JsonObject[]> =>
    asList((await admin(realm, { operation, path: userPath(id, rest) }, ctx)).body);
  const online = await read('/sessions');
  const offline: string[] = [];
  // The list of consents names the clients that hold offline tokens, also where nobody was asked for a consent.
  for (const consent of await read('/consents')) {
    for (const grant of asList(consent['additionalGrants'])) {
      const sessions = await read(`/offline-sessions/${encodeURIComponent(textOf(grant['client']))}`);
      offline.push(...sessions.map((session) => textOf(session['id'])));
    }
  }
  return { online: online.map((session) => textOf(session['id'])), offline: [...new Set(offline)] };
}

/** How many sessions are open, and until when access tokens can live on where an application asks nobody. */
export async function listSessions(realm: RealmContext, ref: AccountRef, ctx: OperationContext): Promise<SessionCount> {
  const operation = 'listSessions';
  const user = await requireUser(realm, ref, operation, ctx);
  const { online, offline } = await readSessions(realm, ref.nativeId, operation, ctx);
  const count = online.length + offline.length;
  const seconds = realm.config.accessTokenSeconds ?? (await accessTokenSeconds(realm, operation, ctx));
  // A disabled account without sessions gets no tokens: the last one was made before the last cut.
  const cut = user['notBefore'];
  const isCut = count === 0 && user['enabled'] === false && typeof cut === 'number' && cut > 0;
  const until = (isCut ? (cut + 1) * 1000 : Date.now()) + seconds * 1000;
  const residual = { what: 'access-token', until: new Date(until).toISOString() };
  return { count, road: 'keycloak:sessions+offline', ...(until > Date.now() ? { residual } : {}) };
}

/** The longest life of an access token: the realm's, or that of a client which has its own. */
async function accessTokenSeconds(realm: RealmContext, operation: string, ctx: OperationContext): Promise<number> {
  const shown = asObject((await admin(realm, { operation, path: '' }, ctx)).body)['accessTokenLifespan'];
  if (typeof shown !== 'number') {
    // The server leaves it out for who may not view the realm; guessing would promise an end that nobody knows.
    throw new ConnectorError({ code: 'FORBIDDEN', operation, sent: false, targetCode: 'lifespan-hidden' });
  }
  const clients = asList((await admin(realm, { operation, path: '/clients' }, ctx)).body);
  const own = clients.map((client) => Number(asObject(client['attributes'])['access.token.lifespan']));
  return Math.max(shown, ...own.filter((seconds) => Number.isFinite(seconds)));
}

/**
 * Signs out everywhere, which also makes the server refuse every token made before this second (not-before), then ends
 * the offline sessions one by one: a token of the same second survives not-before. A fault in between is PARTIAL;
 * repeating reads what is left.
 */
export async function revokeSessions(
  realm: RealmContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'revokeSessions';
  await requireUser(realm, ref, operation, ctx);
  const { online, offline } = await readSessions(realm, ref.nativeId, operation, ctx);
  if (online.length + offline.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  const path = userPath(ref.nativeId, '/logout');
  await inOrder(operation, ref, [
    () => admin(realm, { operation, method: 'POST', path }, ctx),
    ...offline.map((id) => () => {
      const query = { isOffline: 'true' };
      const call = { operation, method: 'DELETE', path: `/sessions/${encodeURIComponent(id)}`, query } as const;
      return admin(realm, call, ctx, { accept: [404] });
    }),
  ]);
  return { outcome: 'applied', ref, changed: [] };
}
