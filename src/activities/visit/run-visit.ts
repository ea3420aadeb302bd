import type { Operation } from '../../domain/plan/types.js';
import { RETRYABLE } from '../../domain/process/failure.js';
import type { VisitId } from '../../domain/process/ids.js';
import { CUTTING_PHASES, DESTROYING_PHASES } from '../../domain/process/kinds.js';
import type { Phase } from '../../domain/process/kinds.js';
import { LEGAL_HOLD } from '../../domain/process/outcome.js';
import type { SettledOutcome, VisitOutcome } from '../../domain/process/outcome.js';
import type { ActivityDeps } from '../deps.js';
import { classify } from '../lib/boundary.js';
import type { Classified } from '../lib/boundary.js';
import type { Clock } from '../lib/clock.js';
import { afterRefusal } from '../open-connector.js';
import { admit, noteDown, noteUp } from './admission.js';
import { applyOperation, refOf } from './apply.js';
import { atTarget } from './by-hand.js';
import { isOutdated, operationContext, wasOutdated } from './fence.js';
import { loadAccount, loadSubject, loadVisit } from './load.js';
import type { AccountRow, VisitContext } from './load.js';
import type { FoundVisit } from './rows.js';
import { keepFindings, settle } from './record.js';
import { noteSuspension } from './suspension.js';
import { ON_ITS_WAY } from './verify-lists.js';
import { SETTLING, isSettling, verifyVisit } from './verify.js';
import type { Finding } from './verify.js';

export interface VisitRun {
  readonly visitId: VisitId;
  /** The visit as it was read a moment ago. */
  readonly row?: FoundVisit;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Bounds each call at the target; without it the application's own limit holds. */
  readonly timeoutMs?: number;
  /** The code of the outcome that this visit has waited for. */
  readonly after?: string;
  progress(detail: string): void;
}

/** How long to wait before reading again when the target gave no hint. */
const DEFAULT_RETRY_MS = 1_000;
const BUSY_RETRY_MS = 500;
const GRANTING: ReadonlySet<Phase> = new Set<Phase>(['provision', 'activate', 'grant', 'resume', 'coexist']);
/** What opens accounts or closes them for a while: one at a time for each account, and the newest plan holds. */
const ONE_AT_A_TIME: ReadonlySet<Phase> = new Set<Phase>([...GRANTING, 'suspend']);

/**
 * One visit: apply → verify → record (design D15). Finished operations are rows, so that a new attempt or another worker goes on exactly where the last
 * one stopped; a settled visit answers with its stored outcome. Never throws for what the target did: the outcome says what has to happen next.
 */
export async function runVisit(deps: ActivityDeps, run: VisitRun): Promise<VisitOutcome> {
  const visit = await loadVisit(deps, run.visitId, run);
  const isCut = CUTTING_PHASES.has(visit.row.phase);
  // A target that is down is asked for hours: nobody rests for that.
  if (isCut) return run.after === undefined ? deps.cutsFirst.during(() => toItsEnd(visit, run)) : toItsEnd(visit, run);
  const hasRested = await deps.cutsFirst.rest(run.signal);
  return toItsEnd(hasRested ? await readAgain(deps, run) : visit, run);
}

/** Whoever rests on the way goes on as after a crash: read anew, because others may have come meanwhile, and behind the last finished step. */
async function toItsEnd(visit: VisitContext, run: VisitRun): Promise<VisitOutcome> {
  let outcome = await makeVisit(visit, run);
  while (outcome === RESTED) outcome = await makeVisit(await readAgain(visit.deps, run), run, 'clear');
  return outcome;
}

function readAgain(deps: ActivityDeps, { row: _, ...run }: VisitRun): Promise<VisitContext> {
  return loadVisit(deps, run.visitId, run);
}

const RESTED = 'rested';

/** `admitted`: it may reach its target, that was asked before. */
async function makeVisit(
  visit: VisitContext,
  run: VisitRun,
  admitted?: 'clear',
): Promise<VisitOutcome | typeof RESTED> {
  const { deps } = visit;
  const id = { visitId: visit.row.visit_id, application: visit.row.application };
  if (visit.row.status === 'settled')
    return { ...id, kind: 'settled', outcome: (visit.row.outcome ?? 'stopped') as SettledOutcome };
  try {
    const early = await standInTheWay(visit);
    if (early !== undefined)
      return early === 'busy' || early === LEGAL_HOLD
        ? { ...id, kind: 'later', code: early, retryAfterMs: BUSY_RETRY_MS }
        : { ...id, kind: 'settled', outcome: early };
    const admission = admitted ?? (reachesTarget(visit) ? await admit(visit, run.after) : 'clear');
    if (typeof admission === 'object') return { ...id, ...admission };
    const rest = await work(visit, await visit.deps.visitRows.begin(visit.row.visit_id), run.after === undefined);
    if (rest === RESTED) return RESTED;
    if (admission === 'troubled') await noteUp(visit);
    return { ...id, ...rest };
  } catch (error) {
    const classified = await afterRefusal(deps, visit, classify(error));
    await noteDown(visit, classified);
    return { ...id, ...(await troubled(visit, classified, error)) };
  }
}

type Rest = VisitOutcome extends infer O ? (O extends unknown ? Omit<O, 'visitId' | 'application'> : never) : never;

function reachesTarget(visit: VisitContext): boolean {
  return visit.planned.operations.some((operation) => operation.kind !== 'manual');
}

/** A newer plan for the same account, a newer cut, a legal hold, or another visit's write in flight. */
async function standInTheWay(visit: VisitContext): Promise<SettledOutcome | 'busy' | typeof LEGAL_HOLD | undefined> {
  if (wasOutdated(visit)) {
    await settle(visit, 'stopped', []);
    return 'stopped';
  }
  if (visit.row.heldSince !== null && DESTROYING_PHASES.has(visit.row.phase)) return LEGAL_HOLD;
  if (!visit.row.isContended || !ONE_AT_A_TIME.has(visit.row.phase)) return undefined;
  const others = await visit.deps.visitRows.others(visit.row);
  const isNewer = (other: (typeof others)[number]): boolean =>
    other.created_at > visit.row.created_at &&
    other.process_id !== visit.row.process_id &&
    takesThePlaceOf(other.phase, visit.row.phase);
  if (others.some(isNewer)) {
    await settle(visit, 'superseded', []);
    return 'superseded';
  }
  const now = visit.clock();
  return others.some((other) => other.write_in_flight && (other.write_until ?? now) > now) ? 'busy' : undefined;
}

/**
 * A newer plan that gives has everything in it that an older one gives; one that takes something away at the end of a grace period has not. What a leave closes stays
 * closed until its own end, whatever is given meanwhile.
 */
function takesThePlaceOf(newer: Phase, older: Phase): boolean {
  return older === 'suspend' ? newer === 'suspend' || newer === 'resume' : ONE_AT_A_TIME.has(newer);
}

/** `mayRest`: between two operations, while somebody is cut; at least one is carried out before. */
async function work(visit: VisitContext, done: ReadonlySet<string>, mayRest: boolean): Promise<Rest | typeof RESTED> {
  const operations = visit.planned.operations.filter((operation) => operation.kind !== 'manual');
  const byHand = visit.planned.operations.filter((operation) => operation.kind === 'manual');
  const linked = await loadSubject(visit, operations, done);
  let account = operations.length === 0 ? linked : await atTarget(visit, linked);
  const missing = await missingAtTarget(visit, account, operations, done);
  if (missing !== undefined) return missing;
  if (visit.row.phase === 'suspend' && account !== undefined && !(await noteSuspension(visit, account)))
    return leftAsFound(visit, account);
  const rests = mayRest && !CUTTING_PHASES.has(visit.row.phase);
  for (const [index, operation] of operations.filter(({ key }) => !done.has(key)).entries()) {
    if (rests && index > 0 && (await visit.deps.cutsFirst.rest(visit.signal))) return RESTED;
    visit.progress(operation.kind);
    account = await applyOperation(visit, operation, account);
    // The rest of this plan is about a new account; one that stood there already is in use, and differs in its own ways.
    if (operation.kind === 'create' && account.created_by_process === null) return adopted(visit);
  }
  const findings = account === undefined ? [] : await verifyVisit(visit, operations, account);
  const verdict = await conclude(visit, findings);
  // What is deleted stays deleted, whoever wanted it back a moment later: its proof is owed all the same.
  const mayBeOutrun = account !== undefined && account.unlinked_at === null;
  const isWhole = byHand.every((operation) => done.has(operation.key));
  if (verdict.kind === 'settled' && isWhole) {
    const isEnded = await settle(visit, verdict.outcome, findings, { account, unlessOutrun: mayBeOutrun });
    return isEnded || !mayBeOutrun || !(await isOutdated(visit)) ? verdict : stopped(visit);
  }
  if (mayBeOutrun && (await isOutdated(visit))) return stopped(visit);
  // What was seen is kept although the visit is not over: a person decides on it. Whoever does the rest by hand attests the rest, not what was proven here.
  if (verdict.kind !== 'later') await keepFindings(visit, findings);
  return verdict.kind === 'settled' ? { kind: 'task', type: 'CapabilityMissing', code: 'manual-fulfilment' } : verdict;
}

/** Somebody else had closed it before the leave: it is not ours to open when the leave ends, and so not ours to close. */
async function leftAsFound(visit: VisitContext, account: AccountRow): Promise<Rest> {
  const finding: Finding = {
    operationKey: visit.planned.operations[0]?.key ?? `${visit.row.application}/account`,
    check: 'state',
    road: 'read',
    verdict: 'proven',
    code: 'found-disabled',
    seen: { status: 'disabled' },
  };
  await settle(visit, 'proven', [finding], { account });
  return { kind: 'settled', outcome: 'proven' };
}

async function adopted(visit: VisitContext): Promise<Rest> {
  await settle(visit, 'superseded', []);
  return { kind: 'replan', code: 'account-adopted' };
}

/** A read just after a write may not see the account yet (edge case 54): it is looked at again before it counts as gone. */
const NOT_SEEN_YET: Rest = { kind: 'later', code: 'not-seen-yet', retryAfterMs: DEFAULT_RETRY_MS };

/** An account that the target no longer has: for taking it away that is proof enough, for giving something the plan was wrong. */
async function missingAtTarget(
  visit: VisitContext,
  account: AccountRow | undefined,
  operations: readonly Operation[],
  done: ReadonlySet<string>,
): Promise<Rest | undefined> {
  if (account === undefined || done.size > 0 || operations.length === 0 || visit.row.phase === 'cut') return undefined;
  const ctx = operationContext(visit, `${visit.row.visit_id}/get`, false);
  if ((await visit.connector.get(refOf(account), ctx)) !== undefined) return undefined;
  return (await isSettling(visit)) ? NOT_SEEN_YET : accountGone(visit, account);
}

async function accountGone(visit: VisitContext, account: AccountRow): Promise<Rest> {
  await visit.deps.db
    .updateTable('account')
    .set({ unlinked_at: visit.clock() })
    .where('account_id', '=', account.account_id)
    .execute();
  if (GRANTING.has(visit.row.phase)) {
    await settle(visit, 'superseded', []);
    return { kind: 'replan', code: 'account-missing' };
  }
  const finding: Finding = {
    operationKey: `${visit.row.application}/account`,
    check: 'absence',
    road: 'read',
    verdict: 'proven',
    code: 'absent',
    seen: {},
  };
  await settle(visit, 'absent', [finding]);
  return { kind: 'settled', outcome: 'absent' };
}

/** What the findings mean together: the weakest verdict decides, and inside the consistency window nothing is refuted yet. */
async function conclude(visit: VisitContext, findings: readonly Finding[]): Promise<Rest> {
  const weakest = (verdict: Finding['verdict']): Finding | undefined => findings.find((one) => one.verdict === verdict);
  const refuted = weakest('refuted');
  const pending = weakest('pending');
  if ((refuted ?? pending) !== undefined && (await isSettling(visit)))
    return { kind: 'later', code: (refuted ?? pending)?.code ?? 'settling', retryAfterMs: DEFAULT_RETRY_MS };
  if (refuted !== undefined) return { kind: 'task', type: 'VerificationRefuted', code: refuted.code };
  // Read while a read could still lag: whatever it is by now, one more look is owed before a person is asked.
  if (pending?.code === ON_ITS_WAY || pending?.code === SETTLING)
    return { kind: 'later', code: pending.code, retryAfterMs: DEFAULT_RETRY_MS };
  if (pending !== undefined) return { kind: 'task', type: 'VerificationPending', code: pending.code };
  const unprovable = weakest('unprovable');
  return { kind: 'settled', outcome: unprovable === undefined ? 'proven' : 'unprovable' };
}

async function stopped(visit: VisitContext): Promise<Rest> {
  await settle(visit, 'stopped', []);
  return { kind: 'settled', outcome: 'stopped' };
}

async function troubled(visit: VisitContext, classified: Classified, error: unknown): Promise<Rest> {
  await noteTrouble(visit, classified);
  if (classified.type === 'GenerationOutdated') return stopped(visit);
  if (classified.code === LEGAL_HOLD) return { kind: 'later', code: LEGAL_HOLD, retryAfterMs: BUSY_RETRY_MS };
  if (classified.type === 'AccountMissing') {
    const account = await loadAccount(visit);
    if (account !== undefined) return (await isSettling(visit)) ? NOT_SEEN_YET : accountGone(visit, account);
    return { kind: 'replan', code: classified.code };
  }
  if (classified.type === 'Unexpected')
    visit.deps.logger.error(
      {
        visitId: visit.row.visit_id,
        application: visit.row.application,
        errorName: error instanceof Error ? error.name : 'unknown',
        stack: error instanceof Error ? stackOnly(error) : undefined,
      },
      'visit failed in a way nobody expected',
    );
  if (RETRYABLE.has(classified.type))
    return { kind: 'later', code: classified.code, retryAfterMs: classified.retryAfterMs ?? DEFAULT_RETRY_MS };
  return { kind: 'task', type: classified.type, code: classified.code };
}

/** Frames without the message: a library's message may hold a value. */
function stackOnly(error: Error): string {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at '))
    .join('\n');
}

/**
 * A write that never left is not in flight; one without an answer stays so until a repeat, or a cut, has read what became of it. A try that failed before it could
 * read says nothing of the write that an earlier try had sent.
 */
async function noteTrouble(visit: VisitContext, classified: Classified): Promise<void> {
  await visit.deps.db
    .updateTable('visit')
    .set({
      code: classified.code,
      ...(classified.sent || visit.row.write_in_flight ? {} : { write_in_flight: false }),
    })
    .where('visit_id', '=', visit.row.visit_id)
    .execute();
}
