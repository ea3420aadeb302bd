import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { Fact, PersonState, Statement, Transition } from '../domain/ledger/types.js';
import { stateAt } from '../domain/ledger/state.js';
import { deriveTransitions } from '../domain/ledger/transitions.js';
import type { IdentityId, Instant, TransitionId } from '../domain/process/ids.js';

/** A person as the ledger has it: the facts in clear and what follows from them. */
export interface Person {
  readonly identityId: IdentityId;
  readonly facts: readonly Fact[];
  readonly transitions: readonly Transition[];
  stateAt(instant: Instant): PersonState;
}

/** Whether somebody is employed, on leave or not. */
export function isWorking(state: PersonState): boolean {
  return state.employments.some((one) => one.status === 'active' || one.status === 'suspended');
}

/** When the last of the facts behind a transition was recorded: nobody can act on what nobody said. Undefined when there are none (an erased person). */
export function knownSince(person: Person, transitionId: TransitionId): Instant | undefined {
  const because = new Set<string>(person.transitions.find((one) => one.id === transitionId)?.because ?? []);
  return person.facts
    .filter((fact) => because.has(fact.factId))
    .map((fact) => fact.recordedAt)
    .sort()
    .at(-1);
}

/** Reads and decrypts a person's ledger. An erased person has no readable facts and so no transitions. */
export async function loadPerson(db: Queryable, keys: KeyRing, identityId: IdentityId): Promise<Person> {
  return personOf(identityId, await loadFacts(db, keys, identityId));
}

/** The same from facts in hand: what a preview of an event that was never recorded uses. */
export function personOf(identityId: IdentityId, facts: readonly Fact[]): Person {
  return {
    identityId,
    facts,
    transitions: deriveTransitions(facts),
    stateAt: (instant) => stateAt(facts, instant),
  };
}

/** A person's facts in ledger order. */
export async function loadFacts(db: Queryable, keys: KeyRing, identityId: IdentityId): Promise<readonly Fact[]> {
  const rows = await db
    .selectFrom('fact')
    .leftJoin('identity_key', 'identity_key.identity_id', 'fact.identity_id')
    .selectAll('fact')
    .select('identity_key.wrapped')
    .where('fact.identity_id', '=', identityId)
    .orderBy('ledger_version')
    .execute();
  keys.learn(identityId, rows[0]?.wrapped ?? null);
  const facts: Fact[] = [];
  for (const row of rows) {
    const statement = await keys.decryptFor(db, identityId, 'fact', row.statement);
    if (statement === undefined) continue;
    facts.push({
      factId: row.fact_id,
      identityId,
      employmentId: row.employment_id,
      source: row.source,
      sourceEventId: row.source_event_id,
      sourceVersion: row.source_version,
      ...(row.corrects === null ? {} : { corrects: row.corrects }),
      recordedAt: row.recorded_at,
      statement: statement as unknown as Statement,
    });
  }
  return facts;
}
