import { randomUUID } from 'node:crypto';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { stateAt } from '../../domain/ledger/state.js';
import type { EmploymentState, Fact, Statement } from '../../domain/ledger/types.js';
import { brand } from '../../domain/process/ids.js';
import type { EmploymentId, FactId, IdentityId, Instant } from '../../domain/process/ids.js';
import { localDateAt } from '../../domain/time/instants.js';
import { loadFacts } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import type { Notice } from '../dispatch/dispatcher.js';
import { lockIdentity } from '../hr/person-lookup.js';
import { stateFacts } from '../hr/person-intake.js';
import { ApiProblem, notFound } from '../http/problem.js';

export interface CutResult {
  readonly identityId: IdentityId;
  readonly at: Instant;
  readonly ledgerVersion: number;
  readonly employments: readonly EmploymentId[];
}

interface End {
  readonly employmentId: EmploymentId;
  readonly statement: Extract<Statement, { kind: 'end' }>;
  readonly eventId: string;
}

const OPEN: ReadonlySet<EmploymentState['status']> = new Set<EmploymentState['status']>([
  'active',
  'suspended',
  'pre-hire',
]);
const MAX_ROUNDS = 10;

/** Whether there is something to end. */
export function isOpen(employment: EmploymentState): boolean {
  return OPEN.has(employment.status);
}

export interface CutRequest {
  readonly identityId: IdentityId;
  readonly actor: string;
  readonly reason?: string | undefined;
  /** The cut of many people that this one belongs to, and who confirmed it. */
  readonly batch?: { readonly cutId: string; readonly confirmedBy: string | null };
}

/**
 * Ends every employment of a person now. The ends, the raised generation (no older visit writes from here on), the audit record and the inbox are one
 * transaction; the identity workflow is told at once afterwards, before everybody else's news. Asked again it answers 409: there is nothing left to end.
 */
export async function cutIdentity(deps: ApiDeps, input: CutRequest): Promise<CutResult> {
  const { result, notice } = await deps.db.transaction().execute((trx) => cutWithin(deps, trx, input));
  deps.dispatcher.notify(notice);
  return result;
}

/** The same inside the caller's transaction; `notice` is for the dispatcher, after the commit. */
export async function cutWithin(
  deps: ApiDeps,
  trx: Queryable,
  { identityId, actor, reason, batch }: CutRequest,
): Promise<{ readonly result: CutResult; readonly notice: Notice }> {
  const now = deps.now();
  const person = await lockIdentity(trx, identityId);
  if (person === undefined) throw notFound('identity');
  const ends = endsOf(identityId, await loadFacts(trx, deps.keys, identityId), now);
  if (ends.length === 0) throw nothingToCut();
  const employments = ends.map((end) => end.employmentId);
  const notice = await stateFacts(deps, trx, { actor, person, facts: ends });
  if (notice === undefined) throw nothingToCut();
  await appendAudit(trx, deps.keys, {
    identityId,
    at: now,
    actor,
    action: 'cut.requested',
    body: { reason: reason ?? null, employments, ...(batch === undefined ? {} : batch) },
  });
  return { result: { identityId, at: now, ledgerVersion: notice.ledgerVersion, employments }, notice };
}

function nothingToCut(): ApiProblem {
  return new ApiProblem(409, 'nothing-to-cut', 'Every employment of this person has ended already.');
}

/** Ends until nothing is open: behind a running employment a later start of the same one may be waiting. */
function endsOf(identityId: IdentityId, facts: readonly Fact[], now: Instant): readonly End[] {
  const ends: End[] = [];
  const run = randomUUID();
  let known = facts;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const open = stateAt(known, now).employments.filter(isOpen);
    if (open.length === 0) break;
    const more = open.map((employment) => endOf(employment, now, `cut-${run}-${round}-${employment.employmentId}`));
    ends.push(...more);
    known = [...known, ...more.map((end) => factOf(identityId, end, now))];
  }
  return ends;
}

function endOf(employment: EmploymentState, now: Instant, eventId: string): End {
  // What has not begun is dated to its start, so that it falls on that stretch of work and on no other; the instant decides.
  const today = localDateAt(now, employment.zone);
  const lastWorkingDay = employment.status === 'pre-hire' ? employment.startOn : today;
  return {
    employmentId: employment.employmentId,
    eventId,
    statement: { kind: 'end', lastWorkingDay, manner: 'immediate', at: now },
  };
}

function factOf(identityId: IdentityId, end: End, now: Instant): Fact {
  return {
    factId: brand<FactId>(randomUUID()),
    identityId,
    employmentId: end.employmentId,
    source: 'tenure',
    sourceEventId: end.eventId,
    sourceVersion: 1,
    recordedAt: now,
    statement: end.statement,
  };
}
