import { createHash, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Insertable, RawBuilder } from 'kysely';
import { sealAudit } from '../../db/audit.js';
import type { AuditEntry, SealedAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import type { EvidenceTable } from '../../db/schema.js';
import type { SettledOutcome } from '../../domain/process/outcome.js';
import type { AccountId, Instant, VisitId } from '../../domain/process/ids.js';
import { fencedBy } from './fence.js';
import type { AccountRow, VisitContext } from './load.js';
import type { Finding } from './verify.js';

/** A visit's end on its way into the database. */
export interface Ending {
  readonly visit: VisitContext;
  readonly outcome: SettledOutcome;
  readonly findings: readonly Finding[];
  /** What was seen, encrypted, in the order of the findings. */
  readonly sealed: readonly Buffer[];
  readonly audit: SealedAudit;
  readonly accountId: AccountId | undefined;
  /** It does not count when the person's generation is past this one; null: whatever came meanwhile. */
  readonly generation: number | null;
  readonly at: Instant;
}

/**
 * Ends a visit: evidence rows, the visit's outcome and the audit record in one statement. A repeat finds the visit settled and writes nothing. A write without
 * an answer stays noted as in flight: a stopped visit knows no more of it than before, and the cut that stopped it has to find out. False, and nothing is
 * written, when it was settled already or, with `unlessOutrun`, a cut came first.
 */
export async function settle(
  visit: VisitContext,
  outcome: SettledOutcome,
  findings: readonly Finding[],
  end: { readonly account?: AccountRow | undefined; readonly unlessOutrun?: boolean } = {},
): Promise<boolean> {
  const at = visit.clock();
  const { db, keys, visitWrites } = visit.deps;
  const sealed = await sealedFindings(visit, findings);
  const audit = await sealAudit(db, keys, auditEntry({ visit, outcome, findings, at }));
  const generation = end.unlessOutrun === true ? fencedBy(visit) : null;
  const accountId = end.account?.account_id;
  return visitWrites.end({ visit, outcome, findings, sealed, audit, accountId, generation, at });
}

/** One statement: who was settled already, or outrun, adds neither evidence nor an audit record. Gives the visits that it settled. */
export async function writeEndings(db: Queryable, endings: readonly Ending[]): Promise<ReadonlySet<VisitId>> {
  const column = <T>(of: (ending: Ending) => T): T[] => endings.map(of);
  const { rows } = await sql<{ visits: readonly VisitId[] }>`
    with ended as (
      select * from unnest(
        ${column((one) => one.visit.row.visit_id)}::uuid[], ${column((one) => one.visit.row.identity_id)}::uuid[],
        ${column((one) => one.outcome)}::text[],
        ${column((one) => one.findings.find((finding) => finding.verdict !== 'proven')?.code ?? null)}::text[],
        ${column((one) => one.at)}::timestamptz[], ${column((one) => one.accountId ?? null)}::uuid[],
        ${column((one) => one.audit.actor)}::text[], ${column((one) => one.audit.action)}::text[], ${column((one) => one.audit.head)}::text[],
        ${column((one) => one.audit.body)}::bytea[], ${column((one) => one.generation)}::integer[]
      ) with ordinality as ended (visit_id, identity_id, outcome, code, at, account_id, actor, action, head, body, generation, place)
    ), settled as (
      update visit set status = 'settled', outcome = ended.outcome, code = ended.code, settled_at = ended.at,
        account_id = coalesce(ended.account_id, visit.account_id)
      from ended where visit.visit_id = ended.visit_id and visit.status <> 'settled'
        and not exists (select from identity where identity.identity_id = ended.identity_id and identity.generation > ended.generation)
      returning visit.visit_id
    ), proof as (${insertingEvidence(endings, sql`where visit_id in (select visit_id from settled)`)})
    select array_agg(visit_id) as visits, append_audit(identity_id, array_agg(at order by place), array_agg(actor order by place),
      array_agg(action order by place), array_agg(head order by place), array_agg(body order by place))
    from ended join settled using (visit_id) group by identity_id order by identity_id`.execute(db);
  return new Set(rows.flatMap((row) => row.visits));
}

/** Stores what was seen of a visit that is not over, for the person who has to decide. */
export async function keepFindings(visit: VisitContext, findings: readonly Finding[]): Promise<void> {
  if (findings.length === 0) return;
  const sealed = await sealedFindings(visit, findings);
  await insertingEvidence([{ visit, findings, sealed }], sql``).execute(visit.deps.db);
}

function sealedFindings({ deps, row }: VisitContext, findings: readonly Finding[]): Promise<Buffer[]> {
  return Promise.all(
    findings.map((finding) => deps.keys.encryptFor(deps.db, row.identity_id, 'evidence', finding.seen)),
  );
}

function insertingEvidence(
  seen: readonly Pick<Ending, 'visit' | 'findings' | 'sealed'>[],
  condition: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const rows = seen.flatMap(({ visit, findings, sealed }) =>
    findings.map((finding, index) => evidenceRow(visit, finding, sealed[index] ?? Buffer.alloc(0))),
  );
  const columns = Object.entries(evidenceColumns) as [keyof typeof evidenceColumns, string][];
  const names = sql.join(columns.map(([name]) => sql.ref(name)));
  const values = columns.map(([name, type]) => sql`${rows.map((row) => row[name])}::${sql.raw(type)}[]`);
  return sql`insert into evidence (${names}) select ${names} from unnest(${sql.join(values)}) as seen (${names}) ${condition}`;
}

const evidenceColumns = {
  evidence_id: 'uuid',
  identity_id: 'uuid',
  process_id: 'text',
  visit_id: 'uuid',
  application: 'text',
  phase: 'text',
  operation_key: 'text',
  check_kind: 'text',
  road: 'text',
  verdict: 'text',
  code: 'text',
  seen: 'bytea',
  seen_hash: 'text',
  residual: 'text',
  residual_until: 'timestamptz',
  deadline_at: 'timestamptz',
  at: 'timestamptz',
} as const satisfies Record<keyof EvidenceTable, string>;

function evidenceRow(visit: VisitContext, finding: Finding, sealed: Buffer): Insertable<EvidenceTable> {
  return {
    evidence_id: randomUUID(),
    identity_id: visit.row.identity_id,
    process_id: visit.row.process_id,
    visit_id: visit.row.visit_id,
    application: visit.row.application,
    phase: visit.row.phase,
    operation_key: finding.operationKey,
    check_kind: finding.check,
    road: finding.road,
    verdict: finding.verdict,
    code: finding.code,
    seen: sealed,
    seen_hash: createHash('sha256').update(JSON.stringify(finding.seen)).digest('hex'),
    residual: finding.residual ?? null,
    residual_until: finding.residualUntil ?? null,
    deadline_at: deadlineOf(visit, finding.operationKey),
    at: visit.clock(),
  };
}

/** Each operation has its own; what belongs to no operation (an account that is gone) stands under the visit's. */
function deadlineOf(visit: VisitContext, operationKey: string): Instant | null {
  const operation = visit.planned.operations.find((one) => one.key === operationKey);
  return operation === undefined ? visit.row.deadline_at : (operation.deadlineAt ?? null);
}

function auditEntry({
  visit,
  outcome,
  findings,
  at,
}: Pick<Ending, 'visit' | 'outcome' | 'findings' | 'at'>): AuditEntry {
  return {
    identityId: visit.row.identity_id,
    at,
    actor: `process:${visit.process.process_kind}`,
    action: 'visit.settled',
    body: {
      visitId: visit.row.visit_id,
      application: visit.row.application,
      phase: visit.row.phase,
      outcome,
      checks: findings.map((one) => ({
        operation: one.operationKey,
        verdict: one.verdict,
        code: one.code,
        road: one.road,
      })),
    },
  };
}
