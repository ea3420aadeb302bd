import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import type { ApiRole } from '../../db/schema.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import { worksHere } from '../../planning/approver.js';

/** Who calls: a token's name, role and, for people, their identity. The token itself is not kept. */
export interface Caller {
  readonly tokenId: string;
  /** For audit records; a token's name is not a person's. */
  readonly name: string;
  readonly role: ApiRole;
  readonly identityId?: IdentityId;
}

const MIN_LENGTH = 20;

/**
 * Makes a token known under a name, or changes the token of that name. At rest there is only its SHA-256; the token must be random, of at least 20
 * characters. Safe to repeat. Other tokens of the same name are revoked; a person's token that was revoked (they left) stays so.
 */
export async function ensureToken(
  db: Queryable,
  token: { readonly name: string; readonly role: ApiRole; readonly identityId?: IdentityId; readonly token: string },
): Promise<void> {
  if (token.token.length < MIN_LENGTH) throw new Error(`an API token must have at least ${MIN_LENGTH} characters`);
  const hash = hashOf(token.token);
  const row = { name: token.name, role: token.role, identity_id: token.identityId ?? null, revoked_at: null };
  await db
    .insertInto('api_token')
    .values({ token_id: randomUUID(), token_hash: hash, expires_at: null, ...row })
    .onConflict((conflict) =>
      conflict.column('token_hash').doUpdateSet({
        ...row,
        revoked_at: sql<Instant | null>`case when api_token.identity_id is null then null else api_token.revoked_at end`,
      }),
    )
    .execute();
  await db
    .updateTable('api_token')
    .set({ revoked_at: new Date().toISOString() as Instant })
    .where('name', '=', token.name)
    .where('token_hash', '!=', hash)
    .where('revoked_at', 'is', null)
    .execute();
}

/**
 * The caller behind an Authorization header; undefined when there is none, or it is unknown, expired or revoked, or belongs to somebody who does not work here at this
 * instant: a leaver's token ends with the employment, whatever became of the cut.
 */
export async function callerOf(
  { db, keys }: { readonly db: Queryable; readonly keys: KeyRing },
  authorization: string | undefined,
  now: Instant,
): Promise<Caller | undefined> {
  const token = /^Bearer ([\x21-\x7e]{20,512})$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return undefined;
  const hash = hashOf(token);
  const row = await db
    .selectFrom('api_token')
    .select(['token_id', 'token_hash', 'name', 'role', 'identity_id', 'expires_at', 'revoked_at'])
    .where('token_hash', '=', hash)
    .executeTakeFirst();
  if (row === undefined || !timingSafeEqual(row.token_hash, hash)) return undefined;
  if (row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= now)) return undefined;
  if (row.identity_id !== null && !(await worksHere(db, keys, row.identity_id, now))) return undefined;
  return {
    tokenId: row.token_id,
    name: row.name,
    role: row.role,
    ...(row.identity_id === null ? {} : { identityId: row.identity_id }),
  };
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
