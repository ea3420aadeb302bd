import { createHash } from 'node:crypto';
import { sql } from 'kysely';
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

const GENESIS = Buffer.alloc(32);

/**
 * Appends one record to the identity's hash chain inside the caller's transaction: no audit, no action (fail closed). The head row, locked for the
 * append, holds sequence and hash outside the chain, so that a cut-off tail shows. The hash covers ciphertext, so erasure breaks nothing.
 */
export async function appendAudit(trx: Queryable, keys: KeyRing, entry: AuditEntry): Promise<void> {
  await appendAudits(trx, keys, entry.identityId, [entry]);
}

/** The same with several records of one identity, in the order given: one lock and two statements, however many they are. */
export async function appendAudits(
  trx: Queryable,
  keys: KeyRing,
  identityId: IdentityId,
  entries: readonly Omit<AuditEntry, 'identityId'>[],
): Promise<void> {
  if (entries.length === 0) return;
  const bodies = await Promise.all(entries.map((entry) => keys.encryptFor(trx, identityId, 'audit', entry.body)));
  let { seq, hash } = await lockHead(trx, identityId);
  const rows: AuditTable[] = [];
  for (const [index, { at, actor, action }] of entries.entries()) {
    const body = bodies[index] ?? Buffer.alloc(0);
    const row = { identity_id: identityId, seq: seq + 1, at, actor, action, body, prev_hash: hash };
    seq = row.seq;
    hash = hashOf(row);
    rows.push({ ...row, hash });
  }
  await trx
    .with('head', (cte) =>
      cte.updateTable('audit_head').set({ seq, hash }).where('identity_id', '=', identityId).returning('identity_id'),
    )
    .insertInto('audit')
    .values(rows)
    .execute();
}

/** Locks the head of a chain until the transaction ends, and makes it where there is none. */
async function lockHead(
  trx: Queryable,
  identityId: IdentityId,
): Promise<{ readonly seq: number; readonly hash: Buffer }> {
  return trx
    .insertInto('audit_head')
    .values({ identity_id: identityId, seq: 0, hash: GENESIS })
    .onConflict((conflict) => conflict.column('identity_id').doUpdateSet((eb) => ({ seq: eb.ref('audit_head.seq') })))
    .returning(['seq', 'hash'])
    .executeTakeFirstOrThrow();
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

function hashOf(row: Omit<AuditTable, 'hash'>): Buffer {
  const head = JSON.stringify([row.identity_id, row.seq, row.at, row.actor, row.action]);
  return createHash('sha256').update(row.prev_hash).update(head).update(row.body).digest();
}
