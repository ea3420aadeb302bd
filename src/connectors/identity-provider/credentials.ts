import type { AccountRef, CredentialKind, CredentialList, MutationResult, OperationContext } from '../connector.js';
import type { Json } from '../shared/http/json.js';
import type { RealmContext } from './client.js';
import { admin, asList, inOrder, requireUser, textOf, userPath } from './client.js';

const kinds: Readonly<Record<string, CredentialKind>> = {
  otp: 'otp',
  webauthn: 'webauthn',
  'webauthn-passwordless': 'webauthn',
  'recovery-authn-codes': 'recovery-codes',
};

interface Held {
  readonly kind: CredentialKind;
  readonly id: string;
  /** What takes it away. */
  readonly path: string;
}

async function held(
  realm: RealmContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<readonly Held[]> {
  await requireUser(realm, ref, operation, ctx);
  const read = async (rest: string): Promise<Json | undefined> =>
    (await admin(realm, { operation, path: userPath(ref.nativeId, rest) }, ctx)).body;
  const credentials = asList(await read('/credentials'))
    .filter((credential) => credential['type'] !== 'password')
    .map((credential) => {
      const id = textOf(credential['id']);
      // A type of an extension is at least something that the person has.
      const kind = kinds[textOf(credential['type'])] ?? 'device';
      return { kind, id, path: userPath(ref.nativeId, `/credentials/${encodeURIComponent(id)}`) };
    });
  const consents = asList(await read('/consents'))
    .filter((consent) => Array.isArray(consent['grantedClientScopes']) && consent['createdDate'] !== undefined)
    .map((consent) => {
      const id = textOf(consent['clientId']);
      return { kind: 'oauth-grant' as const, id, path: userPath(ref.nativeId, `/consents/${encodeURIComponent(id)}`) };
    });
  return [...credentials, ...consents];
}

/** Second factors, keys and recovery codes, and what the person allowed applications to do in their name. */
export async function listCredentials(
  realm: RealmContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<CredentialList> {
  const found = await held(realm, ref, 'listCredentials', ctx);
  return { credentials: found.map(({ kind, id }) => ({ kind, id })), road: 'keycloak:credentials+consents' };
}

/** Takes them away one by one. A fault in between is PARTIAL; repeating reads what is left. The password stays. */
export async function revokeCredentials(
  realm: RealmContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'revokeCredentials';
  const found = await held(realm, ref, operation, ctx);
  if (found.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  await inOrder(
    operation,
    ref,
    found.map(
      ({ path }) =>
        () =>
          admin(realm, { operation, method: 'DELETE', path }, ctx, { accept: [404] }),
    ),
  );
  return { outcome: 'applied', ref, changed: [] };
}
