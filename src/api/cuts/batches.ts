import { randomUUID } from 'node:crypto';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import type { ApiDeps } from '../deps.js';
import { refuseOwnCase } from '../http/own-case.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';
import { openBody, sealBody } from './body.js';
import { findPeople } from './find-people.js';
import type { FoundPerson } from './find-people.js';
import { expireCut } from './runner.js';

export interface CutsAnswer {
  /** Absent when nothing was written: a dry run, or nobody to cut. */
  readonly cutId?: string;
  readonly state: 'proposed' | 'running' | 'nothing';
  readonly size: number;
  readonly needsConfirmation: boolean;
  readonly expiresAt?: Instant;
  readonly results: readonly FoundPerson[];
}

/**
 * Takes a list of people to cut. Up to the policy's threshold it starts at once; above it is kept, encrypted, until another principal confirms it. A line
 * that names nobody, two people or somebody twice is told and stops nobody else.
 */
export async function requestCuts(
  deps: ApiDeps,
  input: {
    readonly people: readonly string[];
    readonly reason: string;
    readonly dryRun: boolean;
    readonly caller: Caller;
  },
): Promise<CutsAnswer> {
  const policy = await deps.policies.active(deps.db);
  if (policy === undefined) throw new ApiProblem(409, 'no-policy', 'No policy has been published.');
  const { fourEyesAbove, atMost, proposalExpiresAfterMs } = policy.lifecycle.killSwitch;
  const results = await findPeople(deps, input.people, input.caller);
  const people = results.flatMap((one) => (one.status === 'found' ? [one.identityId] : []));
  if (people.length > atMost)
    throw new ApiProblem(422, 'too-many-people', 'These are more people than policy lets cut at once.', {
      detail: `killSwitch.atMost is ${atMost}.`,
    });
  const needsConfirmation = people.length > fourEyesAbove;
  const answer = { size: people.length, needsConfirmation, results };
  if (input.dryRun || people.length === 0) return { ...answer, state: 'nothing' };
  const now = deps.now();
  const cutId = randomUUID();
  const expiresAt = needsConfirmation
    ? brand<Instant>(new Date(Date.parse(now) + proposalExpiresAfterMs).toISOString())
    : null;
  await deps.db.transaction().execute(async (trx) => {
    const body = await sealBody(deps, trx, cutId, { reason: input.reason, people });
    await trx
      .insertInto('cut_batch')
      .values({
        cut_id: cutId,
        state: needsConfirmation ? 'proposed' : 'running',
        size: people.length,
        body,
        proposed_by: input.caller.name,
        proposed_by_identity: input.caller.identityId ?? null,
        proposed_at: now,
        expires_at: expiresAt,
        confirmed_by: null,
        started_at: needsConfirmation ? null : now,
      })
      .execute();
    if (!needsConfirmation) await addPeople(trx, cutId, people);
    const action = needsConfirmation ? 'cut.proposed' : 'cut.started';
    await note(deps, trx, { actor: input.caller.name, action, cutId, size: people.length });
  });
  return {
    cutId,
    state: needsConfirmation ? 'proposed' : 'running',
    ...(expiresAt === null ? {} : { expiresAt }),
    ...answer,
  };
}

/** A second principal's yes. The cut starts with the commit; whoever proposed it or is on it, a second yes and one that comes too late are refused. */
export async function confirmCut(deps: ApiDeps, cutId: string, caller: Caller): Promise<void> {
  const isLate = await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('cut_batch')
      .selectAll()
      .where('cut_id', '=', cutId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('cut');
    if (row.state === 'running')
      throw new ApiProblem(409, 'already-confirmed', 'This cut has started already; nothing is left to confirm.');
    const now = deps.now();
    if (row.state === 'expired' || (row.expires_at ?? now) <= now) return true;
    const isSame =
      caller.name === row.proposed_by ||
      (caller.identityId !== undefined && caller.identityId === row.proposed_by_identity);
    if (isSame)
      throw new ApiProblem(403, 'second-person-needed', 'Who proposed a cut cannot confirm it.', {
        detail: 'Another principal with the role operator or admin has to confirm.',
      });
    const { reason, people } = await openBody(deps, cutId, row.body);
    const onIt = people.map((id) => brand<IdentityId>(id));
    for (const identityId of onIt) refuseOwnCase(caller, identityId);
    await addPeople(trx, cutId, onIt);
    await trx
      .updateTable('cut_batch')
      .set({
        state: 'running',
        body: await sealBody(deps, trx, cutId, { reason, people: [] }),
        confirmed_by: caller.name,
        started_at: now,
      })
      .where('cut_id', '=', cutId)
      .execute();
    await note(deps, trx, { actor: caller.name, action: 'cut.confirmed', cutId, size: row.size });
    return false;
  });
  if (!isLate) return;
  await expireCut(deps, cutId);
  throw new ApiProblem(410, 'deadline-passed', 'The time for this confirmation has passed; propose the cut again.');
}

async function addPeople(trx: Queryable, cutId: string, people: readonly IdentityId[]): Promise<void> {
  const rows = people.map((id) => ({ cut_id: cutId, identity_id: id, state: 'waiting' as const, at: null }));
  await trx.insertInto('cut_batch_person').values(rows).execute();
}

/** How many, never who: the people's own chains say that once they are cut. */
function note(
  deps: ApiDeps,
  trx: Queryable,
  entry: { readonly actor: string; readonly action: string; readonly cutId: string; readonly size: number },
): Promise<void> {
  const { actor, action, ...body } = entry;
  return appendAudit(trx, deps.keys, { identityId: SYSTEM, at: deps.now(), actor, action, body });
}
