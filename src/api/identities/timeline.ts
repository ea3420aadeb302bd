import type { Fact } from '../../domain/ledger/types.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import { compare } from '../../domain/time/instants.js';
import { loadPerson } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';

/** One line of a person's life: what HR stated, what follows from it, and what was done. Codes, names and ids; no attribute values. */
interface Draft {
  readonly at: Instant;
  /** Unique, and the second key of the order. */
  readonly key: string;
  readonly kind: 'fact' | 'transition' | 'process' | 'visit' | 'approval' | 'task' | 'evidence' | 'legal-hold';
  readonly what: string;
  readonly processId?: string;
  readonly application?: string;
  readonly [detail: string]: unknown;
}

export interface TimelineItem extends Draft {
  readonly isFuture: boolean;
}

type Deps = Pick<ApiDeps, 'db' | 'keys' | 'now'>;

/** The whole timeline, oldest first; what is still to come is at its end, with its instant. */
export async function timelineOf(deps: Deps, identityId: IdentityId): Promise<readonly TimelineItem[]> {
  const now = deps.now();
  const person = await loadPerson(deps.db, deps.keys, identityId);
  const transitions: Draft[] = person.transitions.map((one) => ({
    at: one.effectiveAt,
    key: `transition/${one.id}`,
    kind: 'transition',
    what: one.kind,
    status: one.status,
    noticeAt: one.noticeAt ?? null,
    movedFrom: one.movedFrom,
    changed: one.changed,
  }));
  const drafts = [
    ...person.facts.map(factItem),
    ...transitions,
    ...(await processItems(deps, identityId)),
    ...(await visitItems(deps, identityId)),
    ...(await approvalItems(deps, identityId)),
    ...(await taskItems(deps, identityId)),
    ...(await evidenceItems(deps, identityId)),
    ...(await holdItems(deps, identityId)),
  ];
  return drafts
    .map((item): TimelineItem => ({ ...item, isFuture: item.at > now }))
    .sort((a, b) => compare(a.at, b.at) || compare(a.key, b.key));
}

function factItem(fact: Fact): Draft {
  const { statement } = fact;
  const stated = 'attributes' in statement ? Object.keys(statement.attributes ?? {}) : [];
  return {
    at: fact.recordedAt,
    key: `fact/${fact.factId}`,
    kind: 'fact',
    what: statement.kind,
    source: fact.source,
    eventId: fact.sourceEventId,
    version: fact.sourceVersion,
    corrects: fact.corrects ?? null,
    employmentId: fact.employmentId,
    attributes: stated,
  };
}

async function processItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('process')
    .select(['process_id', 'kind', 'opened_at', 'ended_at', 'outcome', 'state', 'effective_at'])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.flatMap((row): Draft[] => [
    {
      at: row.opened_at,
      key: `process/${row.process_id}/opened`,
      kind: 'process',
      what: `${row.kind} opened`,
      processId: row.process_id,
      effectiveAt: row.effective_at,
    },
    ...(row.ended_at === null
      ? []
      : [
          {
            at: row.ended_at,
            key: `process/${row.process_id}/ended`,
            kind: 'process' as const,
            what: `${row.kind} ${row.state}`,
            processId: row.process_id,
            outcome: row.outcome,
          },
        ]),
  ]);
}

async function visitItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('visit')
    .select(['visit_id', 'process_id', 'application', 'phase', 'tier', 'outcome', 'code', 'settled_at', 'deadline_at'])
    .where('identity_id', '=', identityId)
    .where('settled_at', 'is not', null)
    .execute();
  return rows.map((row) => ({
    at: row.settled_at as Instant,
    key: `visit/${row.visit_id}`,
    kind: 'visit' as const,
    what: `${row.phase} ${row.outcome ?? 'settled'}`,
    processId: row.process_id,
    application: row.application,
    tier: row.tier,
    code: row.code,
    deadlineAt: row.deadline_at,
  }));
}

async function approvalItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('approval')
    .select(['approval_id', 'process_id', 'entitlement_key', 'requested_at', 'decided_at', 'status', 'expires_at'])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.flatMap((row): Draft[] => {
    const shared = { kind: 'approval' as const, processId: row.process_id, entitlement: row.entitlement_key };
    const asked = { ...shared, at: row.requested_at, key: `approval/${row.approval_id}/asked`, what: 'asked' };
    if (row.decided_at === null) return [{ ...asked, expiresAt: row.expires_at }];
    return [asked, { ...shared, at: row.decided_at, key: `approval/${row.approval_id}/decided`, what: row.status }];
  });
}

async function taskItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('operator_task')
    .select(['task_id', 'process_id', 'application', 'kind', 'code', 'created_at', 'resolved_at', 'resolution'])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.flatMap((row): Draft[] => {
    const shared = {
      kind: 'task' as const,
      processId: row.process_id,
      ...(row.application === null ? {} : { application: row.application }),
      code: row.code,
    };
    const opened = { ...shared, at: row.created_at, key: `task/${row.task_id}/opened`, what: `${row.kind} opened` };
    if (row.resolved_at === null) return [opened];
    const what = `${row.kind} ${row.resolution ?? 'withdrawn'}`;
    return [opened, { ...shared, at: row.resolved_at, key: `task/${row.task_id}/resolved`, what }];
  });
}

async function evidenceItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('evidence')
    .select([
      'evidence_id',
      'process_id',
      'application',
      'phase',
      'check_kind',
      'operation_key',
      'verdict',
      'code',
      'at',
    ])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.map((row) => ({
    at: row.at,
    key: `evidence/${row.evidence_id}`,
    kind: 'evidence' as const,
    what: `${row.check_kind} ${row.verdict}`,
    ...(row.process_id === null ? {} : { processId: row.process_id }),
    application: row.application,
    phase: row.phase,
    operation: row.operation_key,
    code: row.code,
  }));
}

async function holdItems({ db }: Deps, identityId: IdentityId): Promise<Draft[]> {
  const rows = await db
    .selectFrom('legal_hold')
    .select(['hold_id', 'set_at', 'set_by', 'lifted_at', 'lifted_by'])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.flatMap((row): Draft[] => {
    const kind = 'legal-hold' as const;
    const set = { kind, at: row.set_at, key: `legal-hold/${row.hold_id}/set`, what: 'legal hold set', by: row.set_by };
    if (row.lifted_at === null) return [set];
    const key = `legal-hold/${row.hold_id}/lifted`;
    return [set, { kind, at: row.lifted_at, key, what: 'legal hold lifted', by: row.lifted_by }];
  });
}
