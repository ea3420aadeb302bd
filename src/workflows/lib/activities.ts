import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { CUT_QUEUE, LIFECYCLE_QUEUE, applicationQueue } from '../messages.js';

type Bookkeeping = Omit<
  Activities,
  | 'runSweep'
  | 'runSingleVisit'
  | 'recoverLostWrites'
  | 'lookAtCut'
  | 'linkJitAccount'
  | 'beginMove'
  | 'endMove'
  | 'wakeIdentities'
  | 'recordReport'
  | 'handOnApprovals'
  | 'handOnServiceAccounts'
  | 'discoverServiceAccounts'
  | 'lookForSuccessors'
  | 'runApplicationTest'
  | 'stageAccounts'
  | 'correlateImport'
  | 'linkImport'
  | 'probeHealth'
  | 'findServiceAccount'
>;

const local = proxyLocalActivities<Bookkeeping>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/**
 * Bookkeeping in our own database: short, idempotent, repeated for as long as the database is away. One call at a time per workflow: two local activities that
 * end in one workflow task may reach the workflow together, and one after the other when its history is replayed; what follows them would then come in
 * another order, and the workflow would be stuck (found by test/replay).
 */
export const bookkeeping: Bookkeeping = new Proxy(local, {
  get: (target, name) => {
    const activity = Reflect.get(target, name) as (input: unknown) => Promise<unknown>;
    return (input: unknown) => inTurn(() => activity(input));
  },
});

// Module state belongs to one workflow: the SDK gives each execution its own modules.
let turns: Promise<unknown> = Promise.resolve();

function inTurn<R>(call: () => Promise<R>): Promise<R> {
  const result = turns.then(call);
  turns = result.catch(() => undefined);
  return result;
}

const HEARTBEAT = '15s';

// WAIT_CANCELLATION_COMPLETED everywhere: whoever cancels a process must know that its writes have stopped (style.md P1).
const reach = {
  heartbeatTimeout: HEARTBEAT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '1m' },
} as const;

/** A sweep over the visits of a phase; a cut's sweep has a queue, slots and a priority of its own (design D3). */
export function sweeps(
  isCut: boolean,
  summary: string,
): Pick<Activities, 'runSweep' | 'recoverLostWrites' | 'lookAtCut' | 'linkJitAccount'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: isCut ? CUT_QUEUE : LIFECYCLE_QUEUE,
    startToCloseTimeout: '10m',
    priority: { priorityKey: isCut ? 1 : 3 },
    summary,
  });
}

/** A troubled visit alone on its application's queue: Temporal repeats it until the process' patience with it ends, then a person is asked. */
export function singleVisits(
  { application, queue }: { readonly application: string; readonly queue?: string },
  patienceMs: number,
  isCut: boolean,
): Pick<Activities, 'runSingleVisit'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: queue ?? applicationQueue(application),
    startToCloseTimeout: '2m',
    scheduleToCloseTimeout: patienceMs,
    priority: { priorityKey: isCut ? 1 : 3 },
    summary: `visit ${application}`,
    // A cut is tried often: nothing of it may wait long after its target is back.
    retry: { ...reach.retry, maximumInterval: isCut ? '30s' : '5m' },
  });
}

/** A test of one application, where its target is reachable; nobody there to take it is soon known. */
export function applicationTests(application: string): Pick<Activities, 'runApplicationTest'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: applicationQueue(application),
    scheduleToStartTimeout: '30s',
    startToCloseTimeout: '2m',
    retry: { maximumAttempts: 3 },
    summary: `test ${application}`,
  });
}

/** A look for one account, where its target is reachable. */
export function lookUps(application: string): Pick<Activities, 'findServiceAccount'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: applicationQueue(application),
    startToCloseTimeout: '1m',
    scheduleToCloseTimeout: '15m',
    priority: { priorityKey: 4 },
    summary: `look for a service account at ${application}`,
  });
}

/** The listing of a target: one activity for all pages, however many, which goes on behind the last page that was stored. */
export function listings(application: string): Pick<Activities, 'stageAccounts'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: applicationQueue(application),
    startToCloseTimeout: '6h',
    retry: { ...reach.retry, maximumAttempts: 20 },
    priority: { priorityKey: 5 },
    summary: `list accounts of ${application}`,
  });
}

/** The sets of an import in our own database: longer than bookkeeping may take. */
export const imports = proxyActivities<Pick<Activities, 'correlateImport' | 'linkImport' | 'discoverServiceAccounts'>>({
  ...reach,
  startToCloseTimeout: '6h',
  retry: { ...reach.retry, maximumAttempts: 20 },
  priority: { priorityKey: 5 },
  summary: 'correlate and link accounts',
});

/** One health probe; the next one comes by itself, so none is repeated. */
export function probes(application: string): Pick<Activities, 'probeHealth'> {
  return proxyActivities<Activities>({
    taskQueue: applicationQueue(application),
    scheduleToStartTimeout: '20s',
    startToCloseTimeout: '15s',
    retry: { maximumAttempts: 1 },
    priority: { priorityKey: 5 },
    summary: `probe ${application}`,
  });
}

/** A report of a leaver: no local activity, because nothing may wait in its turn behind one that cannot be made. */
export function reports(summary: string): Pick<Activities, 'recordReport'> {
  return proxyActivities<Activities>({
    startToCloseTimeout: '1m',
    scheduleToCloseTimeout: '1h',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '1m' },
    priority: { priorityKey: 4 },
    summary: `report: ${summary}`,
  });
}

/** What a leaver had to decide: no local activity, because the cut's own bookkeeping must never wait behind somebody else's ledger. */
export const duties = proxyActivities<Pick<Activities, 'handOnApprovals' | 'handOnServiceAccounts'>>({
  startToCloseTimeout: '2m',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '1m' },
  priority: { priorityKey: 2 },
  summary: 'hand on what a leaver had to decide',
});

/** A look who is left to administer an application, where its target is reachable; given up after the process' patience. */
export function successors(application: string, patienceMs: number): Pick<Activities, 'lookForSuccessors'> {
  return proxyActivities<Activities>({
    ...reach,
    taskQueue: applicationQueue(application),
    startToCloseTimeout: '1m',
    scheduleToCloseTimeout: patienceMs,
    priority: { priorityKey: 2 },
    summary: `who else administers ${application}`,
  });
}

/** What a move reads at both of its targets before and after a step; a target that does not answer is an answer. */
export function moves(step: string): Pick<Activities, 'beginMove' | 'endMove'> {
  return proxyActivities<Activities>({
    ...reach,
    startToCloseTimeout: '2m',
    summary: `look at both accounts: ${step}`,
  });
}

/** Tells identity workflows to look at their ledger. */
export const wakers = proxyActivities<Pick<Activities, 'wakeIdentities'>>({
  startToCloseTimeout: '2m',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  summary: 'wake people whose next transition is near',
});
