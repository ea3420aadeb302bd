import { createHash } from 'node:crypto';
import type { Selectable } from 'kysely';
import { appendAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ReportTable } from '../db/schema.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import type { ReportOccasion } from '../domain/process/kinds.js';

export type StoredReport = Omit<Selectable<ReportTable>, 'body'>;

const COLUMNS = [
  'report_id',
  'identity_id',
  'process_id',
  'version',
  'occasion',
  'made_at',
  'key_id',
  'hash',
] as const satisfies readonly (keyof StoredReport)[];

/**
 * Keeps a signed report as the next version of its process, with its audit record; belongs into the caller's transaction. The process' row is locked, so that
 * versions have no gaps and no twins. Nothing here is ever overwritten: the app's role may insert only.
 */
export async function storeReport(
  trx: Queryable,
  keys: KeyRing,
  input: {
    readonly reportId: string;
    readonly identityId: IdentityId;
    readonly processId: ProcessId;
    readonly occasion: ReportOccasion;
    readonly at: Instant;
    readonly keyId: string;
    readonly text: string;
  },
): Promise<StoredReport> {
  await trx
    .selectFrom('process')
    .select('process_id')
    .where('process_id', '=', input.processId)
    // Not FOR UPDATE: a proof that only refers to the process is written meanwhile, and may hold the chain.
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  const { last } = await trx
    .selectFrom('report')
    .select(({ fn }) => fn.max('version').as('last'))
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const row: StoredReport = {
    report_id: input.reportId,
    identity_id: input.identityId,
    process_id: input.processId,
    version: ((last as number | null) ?? 0) + 1,
    occasion: input.occasion,
    made_at: input.at,
    key_id: input.keyId,
    hash: createHash('sha256').update(input.text).digest('hex'),
  };
  const body = await keys.encryptFor(trx, input.identityId, contextOf(input.reportId), input.text);
  await trx
    .insertInto('report')
    .values({ ...row, body })
    .execute();
  await appendAudit(trx, keys, {
    identityId: input.identityId,
    at: input.at,
    actor: 'system',
    action: 'report.made',
    body: {
      processId: row.process_id,
      reportId: row.report_id,
      version: row.version,
      occasion: row.occasion,
      hash: row.hash,
    },
  });
  return row;
}

/** What a process has kept, oldest first; nothing of what is in it. */
export async function listReports(db: Queryable, processId: ProcessId): Promise<readonly StoredReport[]> {
  return db.selectFrom('report').select(COLUMNS).where('process_id', '=', processId).orderBy('version').execute();
}

/** One kept report. */
export async function findReport(
  db: Queryable,
  by: { readonly reportId: string } | { readonly processId: ProcessId; readonly version: number },
): Promise<StoredReport | undefined> {
  const query = db.selectFrom('report').select(COLUMNS);
  return 'reportId' in by
    ? query.where('report_id', '=', by.reportId).executeTakeFirst()
    : query.where('process_id', '=', by.processId).where('version', '=', by.version).executeTakeFirst();
}

/** The signed text, byte for byte as it was made; undefined when the person was erased. Throws when it no longer has its hash. */
export async function readReport(db: Queryable, keys: KeyRing, report: StoredReport): Promise<string | undefined> {
  const { body } = await db
    .selectFrom('report')
    .select('body')
    .where('report_id', '=', report.report_id)
    .executeTakeFirstOrThrow();
  const text = await keys.decryptFor(db, report.identity_id, contextOf(report.report_id), body);
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || createHash('sha256').update(text).digest('hex') !== report.hash)
    throw new Error('a kept report does not have its hash');
  return text;
}

function contextOf(reportId: string): string {
  return `report/${reportId}`;
}
