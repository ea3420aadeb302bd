import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import type { ServiceAccountTable } from '../../db/schema.js';
import type { CompiledPolicy } from '../../domain/policy/types.js';
import type { IdentityId, Instant, ProcessId } from '../../domain/process/ids.js';
import type { SettledOutcome } from '../../domain/process/outcome.js';
import { nextStep, voiceKey } from '../../domain/service-account/next-step.js';
import type { Deed, OrphanCode, OwnerVoice, Stage, Step, Word } from '../../domain/service-account/next-step.js';
import { ownersOf } from '../../onboarding/service-accounts.js';
import { isWorking, loadPerson } from '../../planning/person.js';
import type { ActivityDeps } from '../deps.js';
import { pinnedPolicy } from '../pinned-policy.js';
import { plusMs } from '../lib/clock.js';
import type { PendingApproval } from '../phase.js';

const DAY_MS = 86_400_000;

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

/** What the workflow does next. Owners that had to be asked are asked by now. */
export type ServiceAccountStep = Exclude<Step, { readonly step: 'ask-owners' }> & {
  readonly application: string;
  readonly round: number;
  /** What owners have not answered yet; ids only. */
  readonly approvals: readonly PendingApproval[];
};

/**
 * Reads what is on record of a service account and says what comes next, in one transaction under its row's lock: questions to owners are written here, tasks that
 * nobody has to answer any more are withdrawn, and an end is noted. Repeating it changes nothing more.
 */
export async function serviceAccountStep(deps: ActivityDeps, ref: Ref): Promise<ServiceAccountStep> {
  return deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('service_account')
      .selectAll()
      .where('identity_id', '=', ref.identityId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const policy = await pinnedPolicy(deps, trx, ref.processId);
    const step = await decided(deps, trx, { ref, row, policy });
    await withdrawTasks(trx, ref, step.step === 'ask-operator' ? step.code : undefined);
    if (step.step === 'end') await noteEnd(deps, trx, ref, step.outcome);
    return {
      ...step,
      application: row.application,
      round: row.round,
      approvals: await pendingVoices(trx, ref.processId),
    };
  });
}

interface Look {
  readonly ref: Ref;
  readonly row: Selectable<ServiceAccountTable>;
  readonly policy: CompiledPolicy;
}

async function decided(
  deps: ActivityDeps,
  trx: Queryable,
  look: Look,
): Promise<Exclude<Step, { readonly step: 'ask-owners' }>> {
  for (;;) {
    const owners = await voicesOf(deps, trx, look);
    const step = nextStep({ ...(await recordOf(trx, look)), owners });
    if (step.step !== 'ask-owners') return step;
    await askOwners(deps, trx, { ...look, stage: step.stage, owners });
  }
}

/** Everything but the voices. */
async function recordOf(trx: Queryable, { ref, row, policy }: Look) {
  const { owners: required, screamTestMs } = policy.lifecycle.serviceAccounts;
  const account = await trx
    .selectFrom('account')
    .select('unlinked_at')
    .where('identity_id', '=', ref.identityId)
    .executeTakeFirst();
  const deed = await lastDeed(trx, ref.processId);
  const isRefused = deed?.phase === 'scream-test' && deed.outcome === 'skipped';
  if (isRefused) await noteRefusal(trx, ref);
  const closedAt = await lastClosing(trx, ref.processId);
  return {
    required,
    isFound: account !== undefined,
    isGone: account !== undefined && account.unlinked_at !== null,
    ...(deed === undefined ? {} : { deed }),
    ...(closedAt === undefined ? {} : { windowUntil: plusMs(closedAt, screamTestMs) }),
    isScreamed: row.screamed_at !== null,
    isAttested: row.attested_at !== null,
    isGivenUp: row.given_up_at !== null || isRefused,
    now: ref.now,
  };
}

/** An operator left the closing out: that holds also when it has been opened again, and nobody closes it once more by itself. */
async function noteRefusal(trx: Queryable, ref: Ref): Promise<void> {
  await trx
    .updateTable('service_account')
    .set({ given_up_at: ref.now })
    .where('identity_id', '=', ref.identityId)
    .where('given_up_at', 'is', null)
    .execute();
}

const DEEDS = ['scream-test', 'restore', 'delete'] as const;

async function lastDeed(trx: Queryable, processId: ProcessId): Promise<Deed | undefined> {
  const row = await trx
    .selectFrom('plan')
    .leftJoin('visit', 'visit.plan_id', 'plan.plan_id')
    .select(['plan.phase', 'visit.visit_id', 'visit.outcome'])
    .where('plan.process_id', '=', processId)
    .where('plan.phase', 'in', DEEDS)
    .orderBy('plan.created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const outcome = row.visit_id === null ? 'nothing-to-do' : (row.outcome ?? 'open');
  return { phase: row.phase as Deed['phase'], outcome: outcome as SettledOutcome | 'open' | 'nothing-to-do' };
}

async function lastClosing(trx: Queryable, processId: ProcessId): Promise<Instant | undefined> {
  const row = await trx
    .selectFrom('visit')
    .select('settled_at')
    .where('process_id', '=', processId)
    .where('phase', '=', 'scream-test')
    .where('settled_at', 'is not', null)
    .orderBy('settled_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.settled_at ?? undefined;
}

const WORDS: Readonly<Record<string, Word>> = {
  pending: 'pending',
  approved: 'remove',
  denied: 'keep',
  expired: 'expired',
  // Of somebody who owns it again: asked anew in the next round, and until then not silent, not agreed.
  withdrawn: 'expired',
};

/** Owners who work here, with what each said in this round. Whoever has left has no voice, even before the leaver's process has passed it on. */
async function voicesOf(deps: ActivityDeps, trx: Queryable, { ref, row }: Look): Promise<readonly OwnerVoice[]> {
  const approvals = await trx
    .selectFrom('approval')
    .select(['entitlement_key', 'status', 'approver_identity_id', 'decided_by'])
    .where('process_id', '=', ref.processId)
    .execute();
  const word = (stage: Stage, owner: IdentityId): Word => {
    const found = approvals.find((one) => one.entitlement_key === voiceKey(stage, row.round, owner));
    return found === undefined ? 'none' : (WORDS[found.status] ?? 'expired');
  };
  const voices: OwnerVoice[] = [];
  for (const owner of await ownersOf(trx, ref.identityId)) {
    const person = await loadPerson(trx, deps.keys, owner);
    if (!isWorking(person.stateAt(ref.now))) continue;
    voices.push({ owner, removal: word('removal', owner), confirmation: word('confirmation', owner) });
  }
  return voices;
}

async function askOwners(
  deps: ActivityDeps,
  trx: Queryable,
  ask: Look & { readonly stage: Stage; readonly owners: readonly OwnerVoice[] },
): Promise<void> {
  const { ref, row, policy, stage } = ask;
  const asked = ask.owners.filter((one) => one[stage] === 'none').map((one) => one.owner);
  await trx
    .insertInto('approval')
    .values(
      asked.map((owner) => ({
        approval_id: randomUUID(),
        identity_id: ref.identityId,
        process_id: ref.processId,
        entitlement_key: voiceKey(stage, row.round, owner),
        approver_identity_id: owner,
        requested_at: ref.now,
        expires_at: plusMs(ref.now, policy.lifecycle.approvals.expiresAfterDays * DAY_MS),
        decided_by: null,
        decided_at: null,
        comment: null,
      })),
    )
    .execute();
  await appendAudit(trx, deps.keys, {
    identityId: ref.identityId,
    at: ref.now,
    actor: 'system',
    action: 'service-account.asked',
    body: { stage, round: row.round, owners: asked },
  });
}

async function pendingVoices(trx: Queryable, processId: ProcessId): Promise<readonly PendingApproval[]> {
  const rows = await trx
    .selectFrom('approval')
    .select(['approval_id', 'approver_identity_id', 'expires_at'])
    .where('process_id', '=', processId)
    .where('status', '=', 'pending')
    .orderBy('approval_id')
    .execute();
  return rows.map((row) => ({
    approvalId: row.approval_id,
    approverId: row.approver_identity_id,
    expiresAt: row.expires_at,
  }));
}

/** Questions to operators that are no questions any more; `but` is the one that is. */
async function withdrawTasks(trx: Queryable, ref: Ref, but: OrphanCode | undefined): Promise<void> {
  await trx
    .updateTable('operator_task')
    .set({ status: 'withdrawn', resolved_at: ref.now })
    .where('process_id', '=', ref.processId)
    .where('kind', '=', 'orphan')
    .where('status', '=', 'open')
    .$if(but !== undefined, (query) => query.where('code', '!=', but ?? ''))
    .execute();
}

async function noteEnd(
  deps: ActivityDeps,
  trx: Queryable,
  ref: Ref,
  outcome: Extract<Step, { readonly step: 'end' }>['outcome'],
): Promise<void> {
  const ended = await trx
    .updateTable('service_account')
    .set({ state: outcome })
    .where('identity_id', '=', ref.identityId)
    .where('state', '=', 'open')
    .returning('round')
    .executeTakeFirst();
  if (ended === undefined) return;
  await appendAudit(trx, deps.keys, {
    identityId: ref.identityId,
    at: ref.now,
    actor: 'system',
    action: `service-account.${outcome}`,
    body: { processId: ref.processId, round: ended.round },
  });
}

export interface OperatorWord extends Ref {
  readonly round: number;
  readonly code: OrphanCode;
  readonly resolution: 'retry' | 'skip' | 'done-by-hand';
}

/**
 * What an operator's word on a service account means: `retry` asks the owners anew (or tries again what could not be proven or found), `done-by-hand` attests that
 * the service was refused, and everything else leaves it as it was. Safe to repeat: an answer counts in the round that it was given for.
 */
export async function heedOperator(deps: ActivityDeps, input: OperatorWord): Promise<void> {
  const { code, resolution, now } = input;
  const isAttested = code === 'scream-test-unproven' && resolution === 'done-by-hand';
  const asksAnew = resolution === 'retry' && (code === 'owners-silent' || code === 'owners-disagree');
  if (resolution === 'retry' && !asksAnew) return;
  await deps.db
    .updateTable('service_account')
    .set((eb) => ({
      ...(isAttested ? { attested_at: now } : {}),
      ...(asksAnew ? { round: eb('round', '+', 1), attested_at: null } : {}),
      ...(resolution === 'retry' || isAttested ? {} : { given_up_at: now }),
    }))
    .where('identity_id', '=', input.identityId)
    .where('round', '=', input.round)
    .execute();
}
