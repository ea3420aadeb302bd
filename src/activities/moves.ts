import { appendAudit } from '../db/audit.js';
import { SYSTEM } from '../db/keys.js';
import type { ObservedAccount } from '../connectors/connector.js';
import type { AccountSnapshot, MoveSnapshot } from '../domain/migration/snapshot.js';
import { differences } from '../domain/migration/snapshot.js';
import type { ApplicationSlug, IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { moveIdOf } from '../domain/process/kinds.js';
import type { MoveStep } from '../domain/process/kinds.js';
import type { Json } from '../domain/process/json.js';
import { loadMove, loadSnapshot, snapshotContext } from '../planning/moves.js';
import type { MoveRow } from '../planning/moves.js';
import { guardWave, lockWave, releaseMoves } from '../planning/waves.js';
import { applicationOf } from './connector-pool.js';
import type { ActivityDeps } from './deps.js';
import { classify } from './lib/boundary.js';
import { readingContext, withConnector } from './open-connector.js';

export interface MoveRef {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
  readonly step: MoveStep;
}

/** Why a step cannot be taken, or was not: a code. */
export interface MoveAnswer {
  readonly code?: string;
}

/**
 * Looks at the targets before a step of a move. Before the new account is made: both accounts as they are, kept for a roll-back. Before the old one is closed: the
 * new one must stand there now, whatever was proven before. Read-only at the targets; what cannot be read is a code, never a yes. Repeating it looks again and
 * keeps the first snapshot of an attempt.
 */
export async function beginMove(deps: ActivityDeps, ref: MoveRef, signal: AbortSignal): Promise<MoveAnswer> {
  const move = await moveOf(deps, ref);
  switch (ref.step) {
    case 'coexist':
      return keepSnapshot(deps, ref, move, signal);
    case 'retire':
      return beginRetirement(deps, ref, move, signal);
    case 'archive':
    case 'delete':
    case 'withdraw':
      return {};
  }
}

/**
 * Notes how a step of a move ended, by what the targets show and not by what was said: the new account stands; the old one is closed; both are as before. A step
 * that failed leaves the move where it is, and its wave halts when too many have. Safe to repeat.
 */
export async function endMove(
  deps: ActivityDeps,
  ref: MoveRef & MoveAnswer,
  signal: AbortSignal,
): Promise<{ readonly outcome: string }> {
  const move = await moveOf(deps, ref);
  const code = ref.code ?? (await shortfall(deps, ref, move, signal));
  if (code !== undefined) return fail(deps, ref, move, code);
  switch (ref.step) {
    case 'coexist':
      await note(deps, ref, move, { proven_at: ref.now, failed_step: null, code: null });
      return { outcome: 'coexists' };
    case 'retire':
      await note(deps, ref, move, { state: 'retired', retired_at: ref.now, failed_step: null, code: null });
      return { outcome: 'retired' };
    case 'withdraw': {
      const found = await changedSince(deps, move, signal);
      await note(deps, ref, move, { settled_at: ref.now, differences: [...found], failed_step: null, code: null });
      return { outcome: found.length === 0 ? 'withdrawn' : 'withdrawn-with-differences' };
    }
    case 'archive':
    case 'delete':
      return { outcome: 'done' };
  }
}

/** Lets the next moves of this one's wave begin; gives whose queues have to look. Safe to repeat. */
export async function makeRoom(
  deps: ActivityDeps,
  ref: Pick<MoveRef, 'processId' | 'now'>,
): Promise<{ readonly identityIds: readonly IdentityId[] }> {
  const move = await loadMove(deps.db, moveIdOf(ref.processId));
  if (move === undefined) return { identityIds: [] };
  const wave = { migrationId: move.migration_id, wave: move.wave };
  return { identityIds: await deps.db.transaction().execute((trx) => releaseMoves(trx, wave, ref.now)) };
}

async function moveOf(deps: ActivityDeps, ref: Pick<MoveRef, 'processId'>): Promise<MoveRow> {
  const move = await loadMove(deps.db, moveIdOf(ref.processId));
  if (move === undefined) throw new Error('no such move');
  return move;
}

async function keepSnapshot(deps: ActivityDeps, ref: MoveRef, move: MoveRow, signal: AbortSignal): Promise<MoveAnswer> {
  // An attempt after a failure goes back to what was there before the first one.
  if (move.before !== null) return {};
  const from = await read(deps, move, move.from_application, signal);
  const to = await read(deps, move, move.to_application, signal);
  if (typeof from === 'string') return { code: `old-account-${from}` };
  if (typeof to === 'string') return { code: `new-account-${to}` };
  if (from === null) return { code: 'old-account-missing' };
  const { facts } = await deps.db
    .selectFrom('fact')
    .select((eb) => eb.fn.countAll<string>().as('facts'))
    .where('identity_id', '=', ref.identityId)
    .executeTakeFirstOrThrow();
  const snapshot: MoveSnapshot = { from, to, facts: Number(facts) };
  const context = snapshotContext(move.move_id);
  const before = await deps.keys.encryptFor(deps.db, ref.identityId, context, snapshot as unknown as Json);
  await note(deps, ref, move, { before });
  return {};
}

async function beginRetirement(
  deps: ActivityDeps,
  ref: MoveRef,
  move: MoveRow,
  signal: AbortSignal,
): Promise<MoveAnswer> {
  const code = await notStanding(deps, move, signal);
  if (code !== undefined) return { code };
  await note(deps, ref, move, { state: 'cut-over' });
  return {};
}

/** What is missing of what a step was to bring about; undefined when nothing is. */
async function shortfall(
  deps: ActivityDeps,
  ref: MoveRef,
  move: MoveRow,
  signal: AbortSignal,
): Promise<string | undefined> {
  switch (ref.step) {
    case 'coexist':
      return (await unproven(deps, ref)) ?? notStanding(deps, move, signal);
    case 'retire': {
      const from = await read(deps, move, move.from_application, signal);
      if (typeof from === 'string') return `old-account-${from}`;
      return from === null || from.status === 'disabled' ? unproven(deps, ref) : 'old-account-open';
    }
    case 'withdraw':
      return unproven(deps, ref);
    case 'archive':
    case 'delete':
      return undefined;
  }
}

const GOOD: ReadonlySet<string> = new Set(['proven', 'by-hand', 'absent', 'superseded']);

/** Each account's last visit of this process counts: a repeat after a refusal is as good as a first one. */
async function unproven(deps: ActivityDeps, ref: MoveRef): Promise<string | undefined> {
  const visits = await deps.db
    .selectFrom('visit')
    .select(['application', 'outcome'])
    .where('process_id', '=', ref.processId)
    .where('phase', '=', ref.step)
    .orderBy('created_at')
    .execute();
  const last = new Map(visits.map((visit) => [visit.application, visit.outcome]));
  return [...last.values()].every((outcome) => outcome !== null && GOOD.has(outcome)) ? undefined : 'not-proven';
}

/** Whether the person could go on with the new account alone, as the target says now. */
async function notStanding(deps: ActivityDeps, move: MoveRow, signal: AbortSignal): Promise<string | undefined> {
  const to = await read(deps, move, move.to_application, signal);
  if (typeof to === 'string') return `new-account-${to}`;
  if (to === null) return 'new-account-missing';
  const from = await accountAt(deps, move, move.from_application);
  return to.status === 'enabled' || from?.status === 'disabled' ? undefined : 'new-account-closed';
}

/** In what the accounts differ from what they were, by both targets. */
async function changedSince(deps: ActivityDeps, move: MoveRow, signal: AbortSignal): Promise<readonly string[]> {
  const before = await loadSnapshot(deps.db, deps.keys, move);
  if (before === undefined) return [];
  const sides = [
    ['from', move.from_application, before.from],
    ['to', move.to_application, before.to],
  ] as const;
  const found = await Promise.all(
    sides.map(async ([side, application, was]) => {
      const is = await read(deps, move, application, signal);
      return typeof is === 'string' ? [`${side}:${is}`] : differences(was, is).map((one) => `${side}:${one}`);
    }),
  );
  return found.flat();
}

const READ_MS = 15_000;

/** The linked account as its target shows it; null: there is none; a code: the target cannot be read now. */
async function read(
  deps: ActivityDeps,
  move: MoveRow,
  slug: ApplicationSlug,
  signal: AbortSignal,
): Promise<AccountSnapshot | null | 'unreadable'> {
  const account = await accountAt(deps, move, slug);
  if (account === undefined) return null;
  const policy = await deps.policies.active(deps.db);
  const application = policy === undefined ? undefined : applicationOf(policy, slug);
  if (policy === undefined || application === undefined) return 'unreadable';
  try {
    const seen = await withConnector(deps, { application, policy, signal }, (connector) =>
      connector.get(
        { application: slug, objectClass: 'account', nativeId: account.native_id },
        readingContext(deps, { key: `move/${move.move_id}/get`, signal, timeoutMs: READ_MS }),
      ),
    );
    return seen === undefined ? null : snapshotOf(seen);
  } catch (error) {
    deps.logger.warn({ application: slug, code: classify(error).code }, 'an account of a move cannot be read');
    return 'unreadable';
  }
}

function snapshotOf({ login, status, attributes, entitlements = [] }: ObservedAccount): AccountSnapshot {
  return { login, status, attributes, entitlements: [...entitlements].sort() };
}

function accountAt(deps: ActivityDeps, move: MoveRow, application: ApplicationSlug) {
  return deps.db
    .selectFrom('account')
    .select(['native_id', 'status'])
    .where('identity_id', '=', move.identity_id)
    .where('application', '=', application)
    .where('unlinked_at', 'is', null)
    .orderBy('linked_at')
    .executeTakeFirst();
}

async function fail(
  deps: ActivityDeps,
  ref: MoveRef,
  move: MoveRow,
  code: string,
): Promise<{ readonly outcome: string }> {
  const wave = { migrationId: move.migration_id, wave: move.wave };
  const isHalted = await deps.db.transaction().execute(async (trx) => {
    await lockWave(trx, wave);
    await trx
      .updateTable('migration_move')
      .set({ failed_step: ref.step, code })
      .where('move_id', '=', move.move_id)
      .where('state', '!=', 'left')
      .execute();
    // Chains last: whoever holds one waits for nobody.
    const halts = await guardWave(trx, wave, ref.now);
    await appendAudit(trx, deps.keys, {
      identityId: ref.identityId,
      at: ref.now,
      actor: 'process:migration',
      action: 'move.failed',
      body: { moveId: move.move_id, step: ref.step, code },
    });
    if (!halts) return false;
    await appendAudit(trx, deps.keys, {
      identityId: SYSTEM,
      at: ref.now,
      actor: 'system',
      action: 'migration.wave-halted',
      body: wave,
    });
    return true;
  });
  return { outcome: isHalted ? `halted-its-wave:${code}` : `failed:${code}` };
}

type MoveChange = Partial<
  Pick<MoveRow, 'state' | 'proven_at' | 'retired_at' | 'settled_at' | 'failed_step' | 'code' | 'differences' | 'before'>
>;

async function note(deps: ActivityDeps, ref: MoveRef, move: MoveRow, change: MoveChange): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    await trx.updateTable('migration_move').set(change).where('move_id', '=', move.move_id).execute();
    await appendAudit(trx, deps.keys, {
      identityId: ref.identityId,
      at: ref.now,
      actor: 'process:migration',
      action: change.before === undefined ? `move.${ref.step}` : 'move.snapshot',
      body: {
        moveId: move.move_id,
        state: change.state ?? move.state,
        ...(change.differences ? { differences: change.differences } : {}),
      },
    });
  });
}
