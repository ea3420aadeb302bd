import type { AccountRef, MutationResult, OperationContext, SessionCount } from '../connector.js';
import type { Entity, VaultContext } from './entities.js';
import { asTexts, requireEntity } from './entities.js';
import { encodedPath } from '../shared/vault/client.js';

/** Requests that run at once while tokens are looked through. */
const AT_ONCE = 8;

/**
 * Accessors of the living tokens of one entity, by whatever way it signed in. Vault has no index from an entity to its tokens: every
 * token of the server is looked up once. Batch tokens are in no list; a disabled entity cannot use them.
 */
export async function tokensOf(
  vault: VaultContext,
  entityId: string,
  operation: string,
  ctx: OperationContext,
): Promise<readonly string[]> {
  const request = { operation, method: 'GET', path: 'auth/token/accessors?list=true', accept: [404] } as const;
  const accessors = asTexts((await vault.client.send(request, ctx)).data['keys']);
  const found: string[] = [];
  for (let from = 0; from < accessors.length; from += AT_ONCE) {
    const some = accessors.slice(from, from + AT_ONCE);
    const owners = await Promise.all(some.map((accessor) => ownerOf(vault, accessor, operation, ctx)));
    found.push(...some.filter((_accessor, index) => owners[index] === entityId));
    ctx.progress(operation);
  }
  return found;
}

/** Undefined: no entity's token, or one that ended meanwhile (400 or 404). */
async function ownerOf(vault: VaultContext, accessor: string, operation: string, ctx: OperationContext) {
  const path = 'auth/token/lookup-accessor';
  const request = { operation, method: 'POST', path, body: { accessor }, accept: [400, 404] } as const;
  return (await vault.client.send(request, ctx)).data['entity_id'];
}

export async function listSessions(vault: VaultContext, ref: AccountRef, ctx: OperationContext): Promise<SessionCount> {
  const entity = await requireEntity(vault, ref, 'listSessions', ctx);
  return { count: (await tokensOf(vault, entity.id, 'listSessions', ctx)).length, road: 'vault:token-accessors' };
}

export async function revokeSessions(
  vault: VaultContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const entity = await requireEntity(vault, ref, 'revokeSessions', ctx);
  const tokens = await tokensOf(vault, entity.id, 'revokeSessions', ctx);
  if (tokens.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  await revokeTokens(vault, entity, tokens, 'revokeSessions', ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** Everything that came from a sign-in by password ends in one request; then each token of the list, however it came. */
export async function revokeTokens(
  vault: VaultContext,
  { userName }: Entity,
  accessors: readonly string[],
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const write = (path: string, body: Readonly<Record<string, string | boolean>>, accept: readonly number[]) =>
    vault.client.send({ operation, method: 'POST', path, body, write: true, accept }, ctx);
  const mount = vault.config.userpass?.mount;
  if (mount !== undefined && userName !== undefined) {
    const prefix = `auth/${encodedPath(mount)}/login/${encodeURIComponent(userName)}`;
    await write(`sys/leases/revoke-prefix/${prefix}`, { sync: true }, []);
  }
  // 400: the token has ended meanwhile.
  for (const accessor of accessors) await write('auth/token/revoke-accessor', { accessor }, [400, 404]);
}
