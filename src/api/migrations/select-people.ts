import type { Queryable } from '../../db/database.js';
import { withMoves } from '../../domain/migration/moves.js';
import { compileSelection } from '../../domain/migration/selection.js';
import { mappingContext } from '../../domain/plan/context.js';
import { desiredAccounts } from '../../domain/plan/desired.js';
import { liveEmployments, speakerOf } from '../../domain/plan/grants.js';
import type { CompiledPolicy } from '../../domain/policy/types.js';
import type { ApplicationSlug, IdentityId, Instant } from '../../domain/process/ids.js';
import { loadNames } from '../../planning/names.js';
import { isWorking, loadPerson } from '../../planning/person.js';
import { desiredInput } from '../../planning/plan-service.js';
import { findPeople } from '../cuts/find-people.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

/** Why somebody who was meant does not move. `not-granted`: policy gives them no open account at the new application; `own-case`: it is who asks. */
export type LeftOut =
  'not-found' | 'ambiguous' | 'duplicate' | 'own-case' | 'no-account' | 'not-working' | 'moves-already' | 'not-granted';

export interface SelectedPeople {
  readonly people: readonly IdentityId[];
  /** By line of the list, or by person. */
  readonly leftOut: readonly { readonly index?: number; readonly identityId?: IdentityId; readonly why: LeftOut }[];
}

interface Selecting {
  readonly from: ApplicationSlug;
  readonly to: ApplicationSlug;
  readonly people?: readonly string[] | undefined;
  readonly expression?: string | undefined;
}

/**
 * Who moves: the people of a list, or those whom an expression selects among everybody with an account at the old application. Whoever would stand without an
 * account at the new one is left out and told. Reads only; raises 422 for an expression that is none.
 */
export async function selectPeople(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>,
  policy: CompiledPolicy,
  input: Selecting,
  caller: Caller,
): Promise<SelectedPeople> {
  const holders = await holdersOf(deps.db, input.from);
  const moving = await movingNow(deps.db);
  const meant = input.people === undefined ? undefined : await listed(deps, input.people, caller);
  const selects = meant === undefined ? selection(input.expression ?? 'true') : undefined;
  const people: IdentityId[] = [];
  const leftOut: SelectedPeople['leftOut'][number][] = [...(meant?.leftOut ?? [])];
  for (const identityId of meant?.people ?? holders) {
    const found = await judge(identityId);
    if (found === 'moves') people.push(identityId);
    else if (found !== undefined) leftOut.push({ identityId, why: found });
  }
  return { people: people.sort(), leftOut };

  async function judge(identityId: IdentityId): Promise<'moves' | LeftOut | undefined> {
    const person = await loadPerson(deps.db, deps.keys, identityId);
    const now = deps.now();
    const state = person.stateAt(now);
    const names = await loadNames(deps.db, identityId);
    const speaker = speakerOf(state);
    if (selects !== undefined) {
      const context = { identityId, state, account: names };
      const isMeant =
        speaker !== undefined && liveEmployments(state).some((one) => selects(mappingContext(context, speaker, one)));
      if (!isMeant) return undefined;
    }
    if (identityId === caller.identityId) return 'own-case';
    if (!holders.includes(identityId)) return 'no-account';
    if (!isWorking(state)) return 'not-working';
    if (moving.has(identityId)) return 'moves-already';
    return (await isGranted(identityId, now)) ? 'moves' : 'not-granted';
  }

  async function isGranted(identityId: IdentityId, now: Instant): Promise<boolean> {
    const { db, keys } = deps;
    const person = await loadPerson(db, keys, identityId);
    const names = await loadNames(db, identityId);
    const given = desiredAccounts({
      ...(await desiredInput(db, keys, { person, policy, names, desiredAt: now })),
      moves: [],
    });
    const retired = { from: input.from, to: input.to, state: 'retired', keepsTo: true } as const;
    return !withMoves(given, [retired]).some((one) => one.application === input.from);
  }
}

function selection(expression: string) {
  const compiled = compileSelection(expression);
  if (compiled.ok) return compiled.selects;
  const { message, expected } = compiled.finding;
  throw new ApiProblem(422, 'selection-invalid', 'The expression does not say who moves.', {
    errors: [{ path: 'expression', message, expected }],
  });
}

async function listed(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>,
  lines: readonly string[],
  caller: Caller,
): Promise<SelectedPeople> {
  const found = await findPeople(deps, lines, caller);
  return {
    people: found.flatMap((one) => ('identityId' in one ? [one.identityId] : [])),
    leftOut: found.flatMap((one) => ('identityId' in one ? [] : [{ index: one.index, why: one.status }])),
  };
}

async function holdersOf(db: Queryable, application: ApplicationSlug): Promise<readonly IdentityId[]> {
  const rows = await db
    .selectFrom('account')
    .select('identity_id')
    .distinct()
    .where('application', '=', application)
    .where('unlinked_at', 'is', null)
    .where('archived', '=', false)
    .execute();
  return rows.map((row) => row.identity_id);
}

async function movingNow(db: Queryable): Promise<ReadonlySet<IdentityId>> {
  const rows = await db
    .selectFrom('migration_move')
    .innerJoin('migration', 'migration.migration_id', 'migration_move.migration_id')
    .select('identity_id')
    .where('migration.state', '!=', 'closed')
    .execute();
  return new Set(rows.map((row) => row.identity_id));
}
