import { appendAudit } from '../db/audit.js';
import type { AccountRow, VisitContext } from './visit/load.js';
import type { AccountId, IdentityId, Instant, ProcessId, VisitId } from '../domain/process/ids.js';
import { isWorking, loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';
import { classify } from './lib/boundary.js';
import { clockFrom } from './lib/clock.js';
import { loadVisit } from './visit/load.js';
import { keepFindings } from './visit/record.js';
import { verifyVisit } from './visit/verify.js';
import type { Finding } from './visit/verify.js';

export interface LookInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
  /** Only these applications: the ones that could not be asked before. */
  readonly only?: readonly string[];
}

export interface LookResult {
  /** Applications where an account lives again: to be cut again, and an incident. */
  readonly cameBack: readonly string[];
  /** Applications that could not be asked, or not be believed: neither dead nor alive. */
  readonly unknown: readonly string[];
}

/**
 * Looks again at every account that a leaver's cut has closed: one read and one sign-in with the sealed secret, under the control of the canary. Each look is
 * evidence, whatever it says; an account that lives is noted as open, so that the next cut is planned for it. Read-only at the targets but for the canary's own
 * account; nobody who works again is looked at. Never throws for what a target did. Repeating it looks once more.
 */
export async function lookAtCut(deps: ActivityDeps, input: LookInput, signal: AbortSignal): Promise<LookResult> {
  const person = await loadPerson(deps.db, deps.keys, input.identityId);
  if (isWorking(person.stateAt(input.now))) return { cameBack: [], unknown: [] };
  const clock = clockFrom(input.now);
  const looks = await Promise.all(
    (await closedAccounts(deps, input)).map(async ({ account, visitId }) => {
      const visit = await loadVisit(deps, visitId, { clock, signal, progress: () => undefined });
      return { application: account.application, state: await look(visit, account) };
    }),
  );
  const of = (state: State): readonly string[] => [
    ...new Set(looks.filter((one) => one.state === state).map((one) => one.application)),
  ];
  return { cameBack: of('alive'), unknown: of('unknown') };
}

type State = 'dead' | 'alive' | 'unknown';

/** The person's accounts that this leaver closed, each with the last visit that did. */
async function closedAccounts(
  deps: ActivityDeps,
  input: LookInput,
): Promise<readonly { readonly account: AccountRow; readonly visitId: VisitId }[]> {
  const visits = await deps.db
    .selectFrom('visit')
    .select(['visit_id', 'account_id', 'application'])
    .where('process_id', '=', input.processId)
    .where('phase', '=', 'cut')
    .where('outcome', 'in', ['proven', 'unprovable'])
    .where('account_id', 'is not', null)
    .orderBy('settled_at')
    .execute();
  const asked = visits.filter((one) => input.only === undefined || input.only.includes(one.application));
  const last = new Map(asked.map((one) => [one.account_id as AccountId, one.visit_id]));
  if (last.size === 0) return [];
  const accounts = await deps.db
    .selectFrom('account')
    .selectAll()
    .where('account_id', 'in', [...last.keys()])
    .where('unlinked_at', 'is', null)
    .execute();
  return accounts.flatMap((account) => {
    const visitId = last.get(account.account_id);
    return visitId === undefined ? [] : [{ account, visitId }];
  });
}

async function look(visit: VisitContext, account: AccountRow): Promise<State> {
  const closing = visit.planned.operations.filter((one) => one.kind === 'disable' || one.kind === 'seal');
  if (closing.length === 0) return 'dead';
  try {
    const findings = (await verifyVisit(visit, closing, account)).map(asLook);
    await keepFindings(visit, findings);
    if (findings.some((one) => one.verdict === 'refuted')) return await noteAlive(visit, account);
    return findings.some((one) => one.verdict === 'pending') ? 'unknown' : 'dead';
  } catch (error) {
    const { code } = classify(error);
    const base = { check: 'state' as const, road: 'none', verdict: 'pending' as const, seen: {} };
    await keepFindings(
      visit,
      closing.map((one): Finding => ({ ...base, operationKey: one.key, code: `not-asked:${code}` })),
    );
    return 'unknown';
  }
}

/** A status that is another one, or a sign-in that was let in. */
function asLook(finding: Finding): Finding {
  return finding.verdict === 'refuted' ? { ...finding, code: CAME_BACK } : finding;
}

export const CAME_BACK = 'came-back';

/** Open as far as Tenure knows, so that the cut that follows closes and seals it anew. */
async function noteAlive({ deps, row, clock }: VisitContext, account: AccountRow): Promise<State> {
  const at = clock();
  const { lastProvenAt } = await lastProof(deps, row.process_id, account.application);
  await deps.db.transaction().execute(async (trx) => {
    await trx
      .updateTable('account')
      .set({ status: 'enabled', sealed: false, observed_at: at })
      .where('account_id', '=', account.account_id)
      .execute();
    await appendAudit(trx, deps.keys, {
      identityId: row.identity_id,
      at,
      actor: 'system',
      action: 'account.came-back',
      body: { application: account.application, accountId: account.account_id, lastProvenAt, seenAliveAt: at },
    });
  });
  return 'alive';
}

/** When an application's cut was last proven, and when an account of it was last seen alive. */
export async function lastProof(
  { db }: Pick<ActivityDeps, 'db'>,
  processId: ProcessId,
  application: string,
): Promise<{ readonly lastProvenAt: Instant | null; readonly seenAliveAt: Instant | null }> {
  const rows = await db
    .selectFrom('evidence')
    .select(['verdict', 'code', 'at'])
    .where('process_id', '=', processId)
    .where('application', '=', application as never)
    .where('phase', '=', 'cut')
    .where('check_kind', 'in', ['state', 'sign-in'])
    .orderBy('at')
    .execute();
  const alive = rows.findLast((row) => row.code === CAME_BACK)?.at ?? null;
  const proven = rows.findLast((row) => row.verdict === 'proven' && (alive === null || row.at < alive))?.at ?? null;
  return { lastProvenAt: proven, seenAliveAt: alive };
}
