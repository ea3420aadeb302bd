import type { Queryable } from '../../db/database.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import { loadPerson } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem } from '../http/problem.js';
import { isOpen } from '../identities/cut.js';

const DAY_MS = 86_400_000;

/** What stands against erasing somebody for as long as it stands; the retention duty, which ends by itself at `keptUntil`, is none of these. */
export type Obstacle =
  | { readonly kind: 'still-employed' }
  | { readonly kind: 'access-not-gone'; readonly applications: readonly string[] }
  | { readonly kind: 'legal-hold' };

export interface Standing {
  readonly obstacle: Obstacle | undefined;
  /** Until when policy wants the person's records. */
  readonly keptUntil: Instant;
}

/** Whether somebody may be erased, as of now. Reads only; raises 409 while no policy says how long records are kept. */
export async function standingOf(
  deps: Pick<ApiDeps, 'keys' | 'policies'>,
  db: Queryable,
  identityId: IdentityId,
  now: Instant,
): Promise<Standing> {
  const policy = await deps.policies.active(db);
  if (policy === undefined) throw new ApiProblem(409, 'no-policy', 'No policy has been published.');
  const keptUntil = new Date(
    Date.parse(await endOfAccess(db, identityId)) + policy.lifecycle.erasure.keepDays * DAY_MS,
  );
  return {
    obstacle: await obstacleTo(deps, db, identityId, now),
    keptUntil: brand<Instant>(keptUntil.toISOString()),
  };
}

async function obstacleTo(
  { keys }: Pick<ApiDeps, 'keys'>,
  db: Queryable,
  identityId: IdentityId,
  now: Instant,
): Promise<Obstacle | undefined> {
  const { employments } = (await loadPerson(db, keys, identityId)).stateAt(now);
  if (employments.some(isOpen)) return { kind: 'still-employed' };
  const { next_due_at: nextDueAt, held_since: heldSince } = await db
    .selectFrom('identity')
    .select(['next_due_at', 'held_since'])
    .where('identity_id', '=', identityId)
    .executeTakeFirstOrThrow();
  const running = await db
    .selectFrom('process')
    .select('process_id')
    .where('identity_id', '=', identityId)
    .where('state', 'in', ['running', 'tail'])
    .executeTakeFirst();
  const applications = await unprovenAccounts(db, identityId);
  // Something due that nobody has begun is not through either.
  if (running !== undefined || nextDueAt !== null || applications.length > 0)
    return { kind: 'access-not-gone', applications };
  return heldSince === null ? undefined : { kind: 'legal-hold' };
}

/** Accounts that still stand and of which no proof says that they are closed. */
async function unprovenAccounts(db: Queryable, identityId: IdentityId): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('account')
    .select('application')
    .distinct()
    .where('identity_id', '=', identityId)
    .where('unlinked_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('status', '!=', 'disabled'),
        eb.not(
          eb.exists(
            eb
              .selectFrom('evidence')
              .innerJoin('visit', 'visit.visit_id', 'evidence.visit_id')
              .select('evidence_id')
              .whereRef('visit.account_id', '=', 'account.account_id')
              .where('visit.phase', '=', 'cut')
              .where('evidence.verdict', '=', 'proven')
              .where('evidence.check_kind', 'in', ['state', 'sign-in', 'attested']),
          ),
        ),
      ]),
    )
    .orderBy('application')
    .execute();
  return rows.map((row) => row.application);
}

/** When the person's last leaver cut; of somebody who never had access, when they became known. */
async function endOfAccess(db: Queryable, identityId: IdentityId): Promise<Instant> {
  const { created_at: createdAt } = await db
    .selectFrom('identity')
    .select('created_at')
    .where('identity_id', '=', identityId)
    .executeTakeFirstOrThrow();
  const leavers = await db
    .selectFrom('process')
    .select(['effective_at', 'started_at'])
    .where('identity_id', '=', identityId)
    .where('process_kind', '=', 'leaver')
    .execute();
  const ends = leavers.flatMap((row) =>
    row.started_at === null ? [row.effective_at] : [row.effective_at, row.started_at],
  );
  return ends.sort().at(-1) ?? createdAt;
}

/** The problem of an obstacle, with what has to happen first. */
export function obstacleProblem(obstacle: Obstacle): ApiProblem {
  switch (obstacle.kind) {
    case 'still-employed':
      return new ApiProblem(409, 'still-employed', 'The person works here, or is about to.', {
        detail: 'Every employment must have ended.',
      });
    case 'access-not-gone':
      return new ApiProblem(409, 'access-not-gone', 'The access of this person is not proven gone.', {
        detail:
          obstacle.applications.length === 0
            ? 'A process of theirs has not ended: deletion comes last.'
            : `Not proven closed at: ${obstacle.applications.join(', ')}.`,
      });
    case 'legal-hold':
      return new ApiProblem(409, 'legal-hold', 'A legal hold is on this person.', {
        detail: 'It must be lifted first.',
      });
  }
}

export function retentionProblem(keptUntil: Instant): ApiProblem {
  return new ApiProblem(409, 'retention-duty', 'The records of this person must still be kept.', {
    detail: `The earliest date is ${keptUntil}. With "queue" the erasure waits for it.`,
  });
}
