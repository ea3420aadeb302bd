import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ProcessTable } from '../db/schema.js';
import type { PlannedVisit } from '../domain/plan/types.js';
import type { Instant, ProcessId } from '../domain/process/ids.js';
import { knownSince, loadPerson } from '../planning/person.js';
import type { Selectable } from 'kysely';
import { actionsOf } from './actions.js';
import type { EvidenceFacts, VisitFacts } from './actions.js';
import type { ReportAction, TerminationReport } from './types.js';

/**
 * The report of one leaver as known at `now`, from its plans, visits, evidence and decisions. Undefined for a process that is unknown or no leaver. What is
 * encrypted about the person is opened here and goes into the answer only; of an erased person only what was never personal is left.
 */
export async function makeReport(
  db: Queryable,
  keys: KeyRing,
  processId: ProcessId,
  now: Instant,
): Promise<TerminationReport | undefined> {
  const process = await db
    .selectFrom('process')
    .selectAll()
    .where('process_id', '=', processId)
    .where('kind', '=', 'leaver')
    .executeTakeFirst();
  if (process === undefined) return undefined;
  const visits = await loadVisits(db, keys, process);
  const actions = [...actionsOf(visits, now)];
  const knownAt = knownSince(await loadPerson(db, keys, process.identity_id), process.transition_id);
  return {
    format: 'tenure/termination-report/1',
    generatedAt: now,
    processId,
    policyVersion: process.policy_version,
    state: process.state,
    outcome: process.outcome,
    person: await personOf(db, process),
    effectiveAt: process.effective_at,
    knownAt: knownAt ?? null,
    noticeAt: process.notice_at,
    exposure: exposureOf(process.effective_at, knownAt, actions),
    summary: summaryOf(actions),
    actions,
    residual: residualOf(visits),
    decisions: await decisionsOf(db, processId),
    audit: await auditOf(db, process),
  };
}

type Process = Selectable<ProcessTable>;

async function loadVisits(db: Queryable, keys: KeyRing, process: Process): Promise<readonly VisitFacts[]> {
  const rows = await db
    .selectFrom('visit')
    .innerJoin('plan', 'plan.plan_id', 'visit.plan_id')
    .leftJoin('account', 'account.account_id', 'visit.account_id')
    .select([
      'visit.visit_id',
      'visit.application',
      'visit.phase',
      'visit.tier',
      'plan.created_at',
      'visit.outcome',
      'visit.body',
      'account.login',
    ])
    .where('visit.process_id', '=', process.process_id)
    .orderBy('plan.created_at')
    .orderBy('visit.application')
    .execute();
  const evidence = await loadEvidence(db, process.process_id);
  return Promise.all(
    rows.map(async (row): Promise<VisitFacts> => {
      const body = await keys.decryptFor(db, process.identity_id, 'visit', row.body);
      const planned = body as unknown as PlannedVisit | undefined;
      return {
        application: row.application,
        login: row.login,
        phase: row.phase,
        tier: row.tier,
        plannedAt: row.created_at,
        outcome: row.outcome,
        operations: planned?.operations ?? [],
        evidence: evidence.get(row.visit_id) ?? [],
      };
    }),
  );
}

async function loadEvidence(
  db: Queryable,
  processId: ProcessId,
): Promise<ReadonlyMap<string, readonly EvidenceFacts[]>> {
  const rows = await db
    .selectFrom('evidence')
    .select([
      'visit_id',
      'operation_key as operationKey',
      'check_kind as check',
      'road',
      'verdict',
      'code',
      'seen_hash as seenHash',
      'residual',
      'residual_until as residualUntil',
      'at',
    ])
    .where('process_id', '=', processId)
    .orderBy('at')
    .execute();
  const byVisit = new Map<string, EvidenceFacts[]>();
  for (const { visit_id: visitId, ...facts } of rows) {
    const known = byVisit.get(visitId ?? '');
    if (known === undefined) byVisit.set(visitId ?? '', [facts]);
    else known.push(facts);
  }
  return byVisit;
}

async function personOf(db: Queryable, process: Process): Promise<TerminationReport['person']> {
  const row = await db
    .selectFrom('identity_profile')
    .select(['display_name', 'user_name', 'mail'])
    .where('identity_id', '=', process.identity_id)
    .executeTakeFirst();
  const name = row?.display_name ?? '';
  return {
    identityId: process.identity_id,
    name: name === '' ? null : name,
    userName: row?.user_name ?? null,
    mail: row?.mail ?? null,
  };
}

/** A moment between the instant that HR named and its arrival here is no exposure (an end "now" is always a little late). */
const LATE_MS = 60_000;

function exposureOf(
  effectiveAt: Instant,
  knownAt: Instant | undefined,
  actions: readonly ReportAction[],
): TerminationReport['exposure'] {
  if (knownAt === undefined || Date.parse(knownAt) - Date.parse(effectiveAt) < LATE_MS) return null;
  const closing = actions.filter((one) => one.tier === 'T1');
  const accounts = [...new Set(closing.map((one) => `${one.application} ${one.login ?? ''}`))].map((key) => {
    const own = closing.filter((one) => `${one.application} ${one.login ?? ''}` === key);
    return { application: own[0]?.application ?? '', login: own[0]?.login ?? null, until: latestProof(own) };
  });
  return { from: effectiveAt, knownAt, until: latestProof(closing), accounts };
}

/** When the last of them was proven; null while one is not. */
function latestProof(actions: readonly ReportAction[]): string | null {
  const proofs = actions.map((one) => one.provenAt);
  return proofs.includes(null) ? null : (proofs.sort().at(-1) ?? null);
}

function summaryOf(actions: readonly ReportAction[]): TerminationReport['summary'] {
  const count = (is: (one: ReportAction) => boolean): number => actions.filter(is).length;
  return {
    actions: actions.length,
    proven: count((one) => one.state === 'proven'),
    attested: count((one) => one.state === 'attested'),
    unproven: count((one) => one.state !== 'proven' && one.state !== 'attested'),
    met: count((one) => one.deadline === 'met'),
    missed: count((one) => one.deadline === 'missed'),
    open: count((one) => one.deadline === 'open'),
  };
}

/** What the last look at each thing could not rule out. */
function residualOf(visits: readonly VisitFacts[]): TerminationReport['residual'] {
  const latest = new Map<string, TerminationReport['residual'][number] | undefined>();
  for (const { application, evidence } of visits) {
    for (const { operationKey, check, residual, residualUntil } of evidence) {
      const found = { application, operation: operationKey, what: residual ?? '', until: residualUntil };
      latest.set(`${operationKey} ${check}`, residual === null ? undefined : found);
    }
  }
  return [...latest.values()].filter((one) => one !== undefined);
}

async function decisionsOf(db: Queryable, processId: ProcessId): Promise<TerminationReport['decisions']> {
  return db
    .selectFrom('operator_task')
    .select(['application', 'kind', 'code', 'created_at as askedAt', 'resolution', 'resolved_at as resolvedAt'])
    .where('process_id', '=', processId)
    .orderBy('created_at')
    .execute();
}

async function auditOf(db: Queryable, process: Process): Promise<TerminationReport['audit']> {
  const head = await db
    .selectFrom('audit_head')
    .select(['seq', 'hash'])
    .where('identity_id', '=', process.identity_id)
    .executeTakeFirst();
  return head === undefined ? null : { records: head.seq, hash: head.hash.toString('hex') };
}
