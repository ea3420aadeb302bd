import { appending, behind, sealAudit } from '../db/audit.js';
import type { SealedAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import { candidates, mailAddress } from '../domain/naming/user-name.js';
import type { CompiledPolicy } from '../domain/policy/types.js';
import type { Names } from '../planning/names.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { erasedName, heldNames, namesFrom } from '../planning/names.js';
import { isWorking, loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';
import { TenureError } from './lib/boundary.js';
import { plusMs } from './lib/clock.js';
import { pinnedPolicy } from './pinned-policy.js';

const YEAR_MS = 365.25 * 86_400_000;

/**
 * Reserves user name and mail address in Tenure's own register before any write (edge cases 10, 11). The primary key of the register lets exactly one of two
 * same-named joiners have a candidate. A changed name reserves a new one and keeps the former blocked, because it lives on as an alias. Safe to repeat.
 * Raises PolicyViolation when no candidate is free.
 */
export async function reserveNames(
  deps: ActivityDeps,
  input: {
    readonly identityId: IdentityId;
    readonly processId: ProcessId;
    readonly now: Instant;
    readonly renames: boolean;
  },
): Promise<void> {
  const process = await deps.db
    .selectFrom('process')
    .innerJoin('identity', 'identity.identity_id', 'process.identity_id')
    .select(['policy_version', 'effective_at', 'ledger_version'])
    .select((eb) => heldNames(eb).as('held'))
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(deps.db, process.policy_version);
  const held = namesFrom(process.held);
  if (held.userName !== '' && !input.renames) return;
  const person = await deps.people.at(deps.db, input.identityId, process.ledger_version);
  const at = process.effective_at > input.now ? process.effective_at : input.now;
  const attributes = person.stateAt(at).primary?.attributes;
  if (attributes === undefined) return;
  const wanted = candidates(attributes, policy);
  if (held.userName !== '' && wanted.includes(held.userName)) return;
  for (const userName of wanted) {
    if (await tryReserve(deps, { ...input, policy, userName, former: held })) return;
  }
  throw new TenureError('PolicyViolation', 'no-free-user-name');
}

interface Reservation {
  readonly identityId: IdentityId;
  readonly now: Instant;
  readonly policy: CompiledPolicy;
  readonly userName: string;
  readonly former: Names;
}

async function tryReserve(deps: ActivityDeps, reservation: Reservation): Promise<boolean> {
  const { identityId, now, policy, userName, former } = reservation;
  const mail = mailAddress(userName, policy);
  const record = await sealAudit(deps.db, deps.keys, {
    identityId,
    at: now,
    actor: 'system',
    action: 'name.reserved',
    body: { userName, mail },
  });
  try {
    await deps.db.transaction().execute(async (trx) => {
      await claim(trx, deps.keys, reservation, mail, record);
      if (former.userName !== '' || former.mail !== '') await releaseOthers(trx, reservation, [userName, mail]);
    });
    return true;
  } catch (error) {
    if (error instanceof Taken) return false;
    throw error;
  }
}

class Taken extends Error {}

/** Takes both names, with the record of it, or none: raises Taken when anybody else, erased or not, has, or had not long ago, one of them. */
async function claim(
  trx: Queryable,
  keys: KeyRing,
  { identityId, userName, now }: Reservation,
  mail: string,
  record: SealedAudit,
): Promise<void> {
  const names = { 'user-name': userName, mail };
  // Everybody in the same order, so that two who want the same names wait for each other instead of both.
  const rows = (['user-name', 'mail'] as const).map((scope) => ({
    scope,
    folded: names[scope].toLowerCase(),
    name: names[scope],
    identity_id: identityId,
    reserved_at: now,
    released_at: null,
    blocked_until: null,
  }));
  const claimed = await trx
    .with('claimed', (cte) =>
      cte
        .insertInto('name_reservation')
        .values(rows)
        .onConflict((conflict) =>
          conflict
            .columns(['scope', 'folded'])
            // One's own former name may be taken up again; anybody else's only after it was blocked for its years.
            .doUpdateSet({ identity_id: identityId, reserved_at: now, released_at: null, blocked_until: null })
            .where((eb) =>
              eb.or([
                eb('name_reservation.identity_id', '=', identityId),
                eb('name_reservation.blocked_until', '<', now),
              ]),
            ),
        )
        .returning('name'),
    )
    .with('profile', (cte) =>
      cte
        .updateTable('identity_profile')
        .set({ user_name: userName, mail })
        .where('identity_id', '=', identityId)
        .returning('identity_id'),
    )
    .selectNoFrom((eb) => [
      eb
        .selectFrom('claimed')
        .select((of) => of.fn.countAll<string>().as('count'))
        .as('names'),
      eb
        .selectFrom('name_reservation as former')
        .select((of) => of.fn.countAll<string>().as('count'))
        .where(
          'former.folded',
          'in',
          rows.map((row) => erasedName(keys, row.scope, row.folded)),
        )
        .where((of) => of.or([of('former.blocked_until', 'is', null), of('former.blocked_until', '>=', now)]))
        .as('erased'),
      appending(identityId, record).as('audit'),
    ])
    .where(behind('claimed', 'profile'))
    .executeTakeFirstOrThrow();
  if (Number(claimed.names) < rows.length || Number(claimed.erased) > 0) throw new Taken();
}

async function releaseOthers(trx: Queryable, reservation: Reservation, keep: readonly string[]): Promise<void> {
  await trx
    .updateTable('name_reservation')
    .set({
      released_at: reservation.now,
      blocked_until: plusMs(reservation.now, reservation.policy.lifecycle.userNames.reuseAfterYears * YEAR_MS),
    })
    .where('identity_id', '=', reservation.identityId)
    .where('released_at', 'is', null)
    .where('name', 'not in', [...keep])
    .execute();
}

/** Releases the names of someone who is gone, and keeps them blocked for the policy's years; who works elsewhere keeps them. Safe to repeat. */
export async function releaseNames(
  deps: ActivityDeps,
  input: { readonly identityId: IdentityId; readonly processId: ProcessId; readonly now: Instant },
): Promise<void> {
  const person = await loadPerson(deps.db, deps.keys, input.identityId);
  if (isWorking(person.stateAt(input.now))) return;
  const policy = await pinnedPolicy(deps, deps.db, input.processId);
  await releaseOthers(deps.db, { ...input, policy, userName: '', former: { userName: '', mail: '' } }, ['']);
}
