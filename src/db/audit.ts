import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { RawBuilder, SqlBool } from 'kysely';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import type { Json } from '../domain/process/json.js';
import type { Database, Queryable } from './database.js';
import type { KeyRing } from './keys.js';
import type { AuditTable } from './schema.js';

export interface AuditEntry {
  readonly identityId: IdentityId;
  readonly at: Instant;
  /** Token name, `process:<kind>` or `system`; never a person's name. */
  readonly actor: string;
  readonly action: string;
  /** Encrypted under the person's key. */
  readonly body: Json;
}

/** What the hash of a record covers beside person, number and ciphertext. */
function hashedWords({ at, actor, action }: Pick<AuditTable, 'at' | 'actor' | 'action'>): string {
  return JSON.stringify([at, actor, action]);
}

const GENESIS = Buffer.alloc(32);

/**
 * Appends one record to the identity's hash chain inside the caller's transaction: no audit, no action (fail closed). The head row, locked for the
 * append, holds sequence and hash outside the chain, so that a cut-off tail shows. The hash covers ciphertext, so erasure breaks nothing.
 *
 * Lock order, for everybody who writes: identity, process, what belongs to it (visit, task, approval, account, profile), and the chain's head last of all. Who appends
 * takes no lock afterwards that it did not hold before; of several people, one after the other by id. Otherwise two who write about one person wait for each other, and Postgres ends one.
 */
export async function appendAudit(trx: Queryable, keys: KeyRing, entry: AuditEntry): Promise<void> {
  await sql`select ${appending(entry.identityId, await sealAudit(trx, keys, entry))}`.execute(trx);
}

/** A record as it is stored, but for its place in the chain. */
export interface SealedAudit {
  readonly at: Instant;
  readonly actor: string;
  readonly action: string;
  /** What the hash covers of the three. */
  readonly head: string;
  readonly body: Buffer;
}

/** Encrypts a record for a statement that writes it together with what it describes. */
export async function sealAudit(db: Queryable, keys: KeyRing, entry: AuditEntry): Promise<SealedAudit> {
  const { at, actor, action } = entry;
  const body = await keys.encryptFor(db, entry.identityId, 'audit', entry.body);
  return { at, actor, action, head: hashedWords(entry), body };
}

/** The call that appends a sealed record: belongs into the select list of a statement whose other parts are what the record describes. */
export function appending(identityId: IdentityId, { at, actor, action, head, body }: SealedAudit): RawBuilder<unknown> {
  return sql`append_audit(
    ${identityId}::uuid, array[${at}::timestamptz], array[${actor}::text], array[${action}::text],
    array[${head}::text], array[${body}::bytea]
  )`;
}

/**
 * True when the named parts of a statement are done; each has to return something. A part that nothing refers to is only run behind the select list, and would
 * take its locks after the chain's.
 */
export function behind(...parts: readonly string[]): RawBuilder<SqlBool> {
  const each = parts.map((part) => sql`select from ${sql.ref(part)}`);
  return sql<SqlBool>`(select count(*) from (${sql.join(each, sql` union all `)}) as done) >= 0`;
}

/** One break of a chain: which identity, at which sequence, and what is wrong. */
export interface AuditProblem {
  readonly identityId: string;
  readonly seq: number;
  readonly problem: 'changed' | 'removed-or-reordered' | 'cut-off' | 'head-missing';
}

export interface AuditVerification {
  readonly chains: number;
  readonly records: number;
  readonly problems: readonly AuditProblem[];
}

const PAGE = 5_000;

/** Reads every chain in order and reports each changed, removed, reordered or cut-off record. Read-only; memory is bounded by a page. */
export async function verifyAudit(db: Database, only?: IdentityId): Promise<AuditVerification> {
  const heads = await db
    .selectFrom('audit_head')
    .selectAll()
    .$if(only !== undefined, (query) => query.where('identity_id', '=', only ?? ''))
    .execute();
  const open = new Map(heads.map((head) => [head.identity_id, head]));
  const problems: AuditProblem[] = [];
  let records = 0;
  let chain: ChainPosition | undefined;
  const finish = (position: ChainPosition | undefined): void => {
    if (position === undefined) return;
    const head = open.get(position.identityId);
    open.delete(position.identityId);
    if (head === undefined)
      problems.push({ identityId: position.identityId, seq: position.seq, problem: 'head-missing' });
    else if (head.seq !== position.seq || !head.hash.equals(position.hash))
      problems.push({ identityId: position.identityId, seq: position.seq, problem: 'cut-off' });
  };
  for await (const row of rowsInOrder(db, only)) {
    records += 1;
    if (chain?.identityId !== row.identity_id) {
      finish(chain);
      chain = { identityId: row.identity_id, seq: 0, hash: GENESIS };
    }
    if (row.seq !== chain.seq + 1 || !row.prev_hash.equals(chain.hash))
      problems.push({ identityId: row.identity_id, seq: row.seq, problem: 'removed-or-reordered' });
    if (!hashOf(row).equals(row.hash)) problems.push({ identityId: row.identity_id, seq: row.seq, problem: 'changed' });
    chain = { identityId: row.identity_id, seq: row.seq, hash: row.hash };
  }
  finish(chain);
  for (const head of open.values())
    if (head.seq > 0) problems.push({ identityId: head.identity_id, seq: 0, problem: 'cut-off' });
  return { chains: heads.length, records, problems };
}

interface ChainPosition {
  readonly identityId: string;
  readonly seq: number;
  readonly hash: Buffer;
}

async function* rowsInOrder(db: Database, only: IdentityId | undefined): AsyncGenerator<AuditTable> {
  let after: { id: string; seq: number } | undefined;
  for (;;) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .$if(only !== undefined, (query) => query.where('identity_id', '=', only ?? ''))
      .$if(after !== undefined, (query) =>
        query.where(sql<boolean>`(identity_id, seq) > (${after?.id ?? ''}::uuid, ${after?.seq ?? 0})`),
      )
      .orderBy('identity_id')
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = { id: last.identity_id, seq: last.seq };
  }
}

// MAINTENANCE: the function append_audit (migration 0003) puts the same text together.
function hashOf(row: Omit<AuditTable, 'hash'>): Buffer {
  const head = `["${row.identity_id}",${row.seq},${hashedWords(row).slice(1)}`;
  return createHash('sha256').update(row.prev_hash).update(head).update(row.body).digest();
}
