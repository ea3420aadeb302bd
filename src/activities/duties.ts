import { appendAudit } from '../db/audit.js';
import type { ApplicationSlug, IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { approverOf, worksHere } from '../planning/approver.js';
import { isLastAdminOfTenure } from '../planning/own-access.js';
import { loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

/** What a leaver has to do in Tenure, or alone can do somewhere: counts and slugs. */
export interface Duties {
  /** Decisions that wait for somebody who is gone. */
  readonly approvals: number;
  /** Applications whose policy names administrative entitlements, where the leaver has an account. */
  readonly administered: readonly ApplicationSlug[];
  readonly isLastAdminOfTenure: boolean;
  /** Service accounts that somebody who is gone owns; absent in histories from before there were any. */
  readonly serviceAccounts?: number;
}

/** Looks what depends on a leaver, before or with the end of access; nothing of somebody who works on in another employment. Reads only. */
export async function dutiesOf(deps: ActivityDeps, input: Ref): Promise<Duties> {
  const { db, keys } = deps;
  const { identityId, now } = input;
  const process = await db
    .selectFrom('process')
    .select(['policy_version', 'effective_at'])
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const endsAt = process.effective_at > now ? process.effective_at : now;
  if (await worksHere(db, keys, identityId, endsAt))
    return { approvals: 0, administered: [], isLastAdminOfTenure: false };
  const isGone = endsAt === now;
  const { approvals } = await db
    .selectFrom('approval')
    .innerJoin('process', 'process.process_id', 'approval.process_id')
    .select((eb) => eb.fn.countAll<string>().as('approvals'))
    .where('approver_identity_id', '=', identityId)
    .where('status', '=', 'pending')
    .where('process.process_kind', '!=', 'service-account')
    .executeTakeFirstOrThrow();
  const { owned } = await db
    .selectFrom('service_account_owner')
    .select((eb) => eb.fn.countAll<string>().as('owned'))
    .where('owner_identity_id', '=', identityId)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(db, process.policy_version);
  const guarded = policy.applications.filter((one) => one.administrators.length > 0).map((one) => one.slug);
  const accounts =
    guarded.length === 0
      ? []
      : await db
          .selectFrom('account')
          .select('application')
          .distinct()
          .where('identity_id', '=', identityId)
          .where('application', 'in', guarded)
          .where('unlinked_at', 'is', null)
          .execute();
  return {
    approvals: isGone ? Number(approvals) : 0,
    administered: accounts.map((row) => row.application),
    isLastAdminOfTenure: await isLastAdminOfTenure(db, identityId, now),
    serviceAccounts: isGone ? Number(owned) : 0,
  };
}

/**
 * Addresses every open approval of a leaver to the next in line, each in a transaction of its own with an audit record of the person it is about. Where nobody is in
 * line it is nobody's, which approves nothing. Safe to repeat: what has been handed on is not theirs any more. Returns how many were handed on.
 */
export async function handOnApprovals(deps: ActivityDeps, input: Ref): Promise<{ readonly handedOn: number }> {
  const open = await deps.db
    .selectFrom('approval')
    .innerJoin('process', 'process.process_id', 'approval.process_id')
    .select(['approval_id', 'approval.identity_id', 'policy_version', 'effective_at'])
    .where('approver_identity_id', '=', input.identityId)
    .where('status', '=', 'pending')
    // An owner's voice is nobody else's: it goes with the ownership (`handOnServiceAccounts`), and the heir is asked anew.
    .where('process.process_kind', '!=', 'service-account')
    .orderBy('requested_at')
    .execute();
  let handedOn = 0;
  for (const row of open) if (await handOn(deps, input, row)) handedOn += 1;
  return { handedOn };
}

async function handOn(
  deps: ActivityDeps,
  { identityId: leaver, now }: Ref,
  row: {
    readonly approval_id: string;
    readonly identity_id: IdentityId;
    readonly policy_version: Parameters<ActivityDeps['policies']['get']>[1];
    readonly effective_at: Instant;
  },
): Promise<boolean> {
  const { db, keys, policies } = deps;
  return db.transaction().execute(async (trx) => {
    const person = await loadPerson(trx, keys, row.identity_id);
    const policy = await policies.get(trx, row.policy_version);
    const placedAt = row.effective_at > now ? row.effective_at : now;
    const next = await approverOf(trx, keys, { person, policy, now, placedAt });
    const changed = await trx
      .updateTable('approval')
      .set({ approver_identity_id: next ?? null })
      .where('approval_id', '=', row.approval_id)
      .where('approver_identity_id', '=', leaver)
      .where('status', '=', 'pending')
      .returning('approval_id')
      .executeTakeFirst();
    if (changed === undefined) return false;
    await appendAudit(trx, keys, {
      identityId: row.identity_id,
      at: now,
      actor: 'system',
      action: 'approval.handed-on',
      body: { approvalId: row.approval_id, from: leaver, to: next ?? null },
    });
    return true;
  });
}
