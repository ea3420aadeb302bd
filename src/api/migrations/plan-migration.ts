import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import { waveSizes } from '../../domain/migration/moves.js';
import { brand } from '../../domain/process/ids.js';
import type { ApplicationSlug, IdentityId, LocalDate } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { migration } from '../http/schemas.js';
import type { Caller } from '../http/tokens.js';
import { selectPeople } from './select-people.js';
import type { SelectedPeople } from './select-people.js';

export interface MigrationAnswer {
  /** Absent when nothing was written: a dry run, or nobody who could move. */
  readonly migrationId?: string;
  readonly state: 'proposed' | 'open' | 'nothing';
  readonly size: number;
  readonly needsConfirmation: boolean;
  readonly waves: readonly { readonly wave: number; readonly size: number }[];
  readonly leftOut: SelectedPeople['leftOut'];
}

/**
 * Plans a migration: who moves, in which wave. Nothing happens to anybody before a wave is started, and above policy's threshold not before another principal has
 * confirmed the plan. With `dryRun` it only says what the plan would be. Raises 409 without a policy, 422 for applications or a selection that do not fit.
 */
export async function planMigration(
  deps: ApiDeps,
  input: z.output<typeof migration>,
  caller: Caller,
): Promise<MigrationAnswer> {
  const policy = await deps.policies.active(deps.db);
  if (policy === undefined) throw new ApiProblem(409, 'no-policy', 'No policy has been published.');
  const [from, to] = [brand<ApplicationSlug>(input.from), brand<ApplicationSlug>(input.to)];
  for (const slug of [from, to])
    if (!policy.applications.some((one) => one.slug === slug && one.mode === 'sync'))
      throw new ApiProblem(422, 'application-unfit', `Tenure does not write accounts at ${slug}.`, {
        detail: 'Both applications of a migration must be in the policy, with mode sync.',
      });
  const { people, leftOut } = await selectPeople(deps, policy, { ...input, from, to }, caller);
  const sizes = waveSizes(people.length, cutOf(input));
  const waves = sizes.map((size, index) => ({ wave: index + 1, size }));
  const needsConfirmation = people.length > policy.lifecycle.killSwitch.fourEyesAbove;
  const answer = { size: people.length, needsConfirmation, waves, leftOut };
  if (input.dryRun || people.length === 0) return { ...answer, state: 'nothing' };
  const migrationId = randomUUID();
  const state = needsConfirmation ? 'proposed' : 'open';
  const cutOverOn = input.cutOverOn === undefined ? null : brand<LocalDate>(input.cutOverOn);
  await deps.db.transaction().execute(async (trx) => {
    await trx
      .insertInto('migration')
      .values({
        migration_id: migrationId,
        state,
        from_application: from,
        to_application: to,
        joiners: input.joiners,
        failure_percent: input.failurePercent,
        at_once: input.atOnce,
        patience_ms: input.patienceSeconds * 1_000,
        size: people.length,
        created_by: caller.name,
        created_by_identity: caller.identityId ?? null,
        created_at: deps.now(),
        confirmed_by: null,
        closed_at: null,
      })
      .execute();
    await addWaves(trx, { migrationId, cutOverOn, sizes, people });
    await noteOrder(deps, trx, caller, 'migration.planned', {
      migrationId,
      from,
      to,
      waves: [...sizes],
      selection: input.expression ?? 'list',
    });
  });
  return { migrationId, state, ...answer };
}

function cutOf(input: z.output<typeof migration>) {
  if (input.percentages !== undefined) return { percentages: input.percentages };
  return { size: input.waveSize ?? Number.MAX_SAFE_INTEGER };
}

interface Waves {
  readonly migrationId: string;
  readonly cutOverOn: LocalDate | null;
  readonly sizes: readonly number[];
  readonly people: readonly IdentityId[];
}

const ROWS = 1_000;

async function addWaves(trx: Queryable, { migrationId, cutOverOn, sizes, people }: Waves): Promise<void> {
  await trx
    .insertInto('migration_wave')
    .values(
      sizes.map((size, index) => ({
        migration_id: migrationId,
        wave: index + 1,
        size,
        cut_over_on: cutOverOn,
        cut_over_at: null,
        started_at: null,
        halted_at: null,
        rolled_back_at: null,
      })),
    )
    .execute();
  const waveOf = sizes.flatMap((size, index) => Array.from({ length: size }, () => index + 1));
  const rows = people.map((identityId, index) => ({
    move_id: randomUUID(),
    migration_id: migrationId,
    wave: waveOf[index] ?? sizes.length,
    identity_id: identityId,
    state: 'planned' as const,
    released_at: null,
    proven_at: null,
    retired_at: null,
    rolled_back_at: null,
    settled_at: null,
    failed_step: null,
    code: null,
    before: null,
    differences: null,
  }));
  for (let start = 0; start < rows.length; start += ROWS)
    await trx
      .insertInto('migration_move')
      .values(rows.slice(start, start + ROWS))
      .execute();
}

/** A second principal's yes to a plan above the threshold. Raises 404, 403 for whoever made the plan, 409 when nothing waits for it. */
export async function confirmMigration(deps: ApiDeps, migrationId: string, caller: Caller): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('migration')
      .selectAll()
      .where('migration_id', '=', migrationId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('migration');
    if (row.state !== 'proposed') throw new ApiProblem(409, 'already-confirmed', 'Nothing is left to confirm here.');
    const isSame =
      caller.name === row.created_by ||
      (caller.identityId !== undefined && caller.identityId === row.created_by_identity);
    if (isSame)
      throw new ApiProblem(403, 'second-person-needed', 'Who planned a migration cannot confirm it.', {
        detail: 'Another principal with the role operator or admin has to confirm.',
      });
    await trx
      .updateTable('migration')
      .set({ state: 'open', confirmed_by: caller.name })
      .where('migration_id', '=', migrationId)
      .execute();
    await noteOrder(deps, trx, caller, 'migration.confirmed', { migrationId, size: row.size });
  });
}

/** Counts and slugs, never who: the people's own chains say what was done to them. */
export function noteOrder(
  deps: Pick<ApiDeps, 'keys' | 'now'>,
  trx: Queryable,
  caller: Caller,
  action: string,
  body: Json,
): Promise<void> {
  return appendAudit(trx, deps.keys, { identityId: SYSTEM, at: deps.now(), actor: caller.name, action, body });
}
