import { createHash, randomUUID } from 'node:crypto';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import type { SettledOutcome } from '../../domain/process/outcome.js';
import type { AccountId } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import type { VisitContext } from './load.js';
import type { Finding } from './verify.js';

/**
 * Ends a visit: evidence rows, the visit's outcome and the audit record in one transaction. A repeat finds the visit settled and writes nothing. A write without
 * an answer stays noted as in flight: a stopped visit knows no more of it than before, and the cut that stopped it has to find out.
 */
export async function settle(
  visit: VisitContext,
  outcome: SettledOutcome,
  findings: readonly Finding[],
  accountId?: AccountId,
): Promise<void> {
  const { db, keys } = visit.deps;
  const now = visit.clock();
  const sealed = await Promise.all(
    findings.map((finding) => keys.encryptFor(db, visit.row.identity_id, 'evidence', finding.seen)),
  );
  await db.transaction().execute(async (trx) => {
    const ended = await trx
      .updateTable('visit')
      .set({
        status: 'settled',
        outcome,
        code: findings.find((one) => one.verdict !== 'proven')?.code ?? null,
        settled_at: now,
        ...(accountId === undefined ? {} : { account_id: accountId }),
      })
      .where('visit_id', '=', visit.row.visit_id)
      .where('status', '!=', 'settled')
      .returning('visit_id')
      .executeTakeFirst();
    if (ended === undefined) return;
    await insertEvidence(trx, visit, findings, sealed);
    await appendAudit(trx, keys, {
      identityId: visit.row.identity_id,
      at: now,
      actor: `process:${visit.process.process_kind}`,
      action: 'visit.settled',
      body: auditBody(visit, outcome, findings),
    });
  });
}

/** Stores what was seen of a visit that is not over, for the person who has to decide. */
export async function keepFindings(visit: VisitContext, findings: readonly Finding[]): Promise<void> {
  const { db, keys } = visit.deps;
  const sealed = await Promise.all(
    findings.map((finding) => keys.encryptFor(db, visit.row.identity_id, 'evidence', finding.seen)),
  );
  await insertEvidence(db, visit, findings, sealed);
}

async function insertEvidence(
  trx: Queryable,
  visit: VisitContext,
  findings: readonly Finding[],
  sealed: readonly Buffer[],
): Promise<void> {
  if (findings.length === 0) return;
  await trx
    .insertInto('evidence')
    .values(
      findings.map((finding, index) => ({
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
        seen: sealed[index] ?? Buffer.alloc(0),
        seen_hash: createHash('sha256').update(JSON.stringify(finding.seen)).digest('hex'),
        residual: finding.residual ?? null,
        residual_until: null,
        deadline_at: visit.row.deadline_at,
        at: visit.clock(),
      })),
    )
    .execute();
}

function auditBody(visit: VisitContext, outcome: SettledOutcome, findings: readonly Finding[]): Json {
  return {
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
  };
}
