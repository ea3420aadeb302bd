import { hashOf } from '../hash.js';
import type { EmploymentId } from '../process/ids.js';
import { compare } from '../time/instants.js';
import type { Fact, Statement } from './types.js';

export type FactOf<K extends Statement['kind']> = Fact & {
  readonly statement: Extract<Statement, { readonly kind: K }>;
};
/** A fact that says something about a life, as opposed to a withdrawal. */
export type ContentFact = FactOf<Exclude<Statement['kind'], 'withdraw'>>;

/** Content hashes of the facts at hand, each computed once. */
type Hashes = ReadonlyMap<Fact, string>;

/** An event of one source with everything that corrects it, transitively. */
export interface Slot {
  readonly key: string;
  readonly employmentId: EmploymentId;
  /** Strongest first, exact duplicates left out. */
  readonly facts: readonly Fact[];
  /** The strongest fact. */
  readonly winner: Fact;
  /** What the slot says, or said before it was withdrawn; absent when only a withdrawal has arrived. */
  readonly content?: ContentFact;
  readonly withdrawn: boolean;
}

/** Hash of what is stated, independent of the order of keys and of everything around the statement. */
export function contentHash(statement: Statement): string {
  return hashOf(statement);
}

export function isFactOf<K extends Statement['kind']>(fact: Fact, kind: K): fact is FactOf<K> {
  return fact.statement.kind === kind;
}

/**
 * Order of strength, weakest first: source version, then what corrects something over what does not (a sender without versions names what it replaces), then
 * content, then the source's event id. Arrival, `recordedAt` and the random fact id decide nothing; the fact id only picks one of exact duplicates, which say the
 * same.
 */
export function compareStrength(a: Fact, b: Fact): number {
  return (
    a.sourceVersion - b.sourceVersion ||
    Number(a.corrects !== undefined) - Number(b.corrects !== undefined) ||
    compare(contentHash(a.statement), contentHash(b.statement)) ||
    compare(a.sourceEventId, b.sourceEventId) ||
    compare(a.source, b.source) ||
    compare(a.corrects ?? '', b.corrects ?? '') ||
    compare(a.employmentId, b.employmentId)
  );
}

/**
 * Groups facts into slots and says which fact of each holds. Two events are in one slot when one corrects the other, or when neither corrects
 * anything and both say the same of the same employment (same content under a new id, edge case 46).
 * The result depends on the set of facts only, never on their order or on how often each one is given. Sorted by what is stated, so that not even
 * a duplicate under a new id changes the order.
 */
export function resolveSlots(facts: readonly Fact[]): Slot[] {
  const hashes: Hashes = new Map(facts.map((fact) => [fact, contentHash(fact.statement)]));
  const distinct = withoutDuplicates(facts, hashes);
  const rootOf = unite(distinct, hashes);
  const groups = new Map<string, Fact[]>();
  for (const fact of distinct) {
    const root = rootOf(eventKey(fact.source, fact.sourceEventId));
    groups.set(root, [...(groups.get(root) ?? []), fact]);
  }
  return [...groups.values()]
    .map((group) => ({ slot: resolveSlot(group), stated: signature(group, hashes) }))
    .sort((a, b) => compare(a.stated, b.stated) || compare(a.slot.key, b.slot.key))
    .map(({ slot }) => slot);
}

function signature(group: readonly Fact[], hashes: Hashes): string {
  const parts = group.map((fact) => JSON.stringify([fact.employmentId, fact.sourceVersion, hashes.get(fact)]));
  return [...new Set(parts)].sort().join();
}

function resolveSlot(group: readonly Fact[]): Slot {
  const facts = [...group].sort((a, b) => compareStrength(b, a));
  const winner = facts[0] as Fact;
  const content = facts.find((fact): fact is ContentFact => fact.statement.kind !== 'withdraw');
  const key = facts.map((fact) => eventKey(fact.source, fact.sourceEventId)).reduce((a, b) => (b < a ? b : a));
  return {
    key,
    employmentId: (content ?? winner).employmentId,
    facts,
    winner,
    ...(content === undefined ? {} : { content }),
    withdrawn: winner.statement.kind === 'withdraw' && deletes(winner, facts),
  };
}

/** A withdrawal deletes; a withdrawal of a withdrawal restores; and so on down the chain. Only weaker facts are looked at, so it ends. */
function deletes(withdrawal: Fact, strongestFirst: readonly Fact[]): boolean {
  const weaker = strongestFirst.slice(strongestFirst.indexOf(withdrawal) + 1);
  const target = weaker.find((fact) => fact.sourceEventId === withdrawal.corrects);
  return target?.statement.kind === 'withdraw' ? !deletes(target, strongestFirst) : true;
}

function withoutDuplicates(facts: readonly Fact[], hashes: Hashes): Fact[] {
  const seen = new Map<string, Fact>();
  for (const fact of facts) {
    const { source, sourceEventId, sourceVersion, corrects, employmentId } = fact;
    const key = JSON.stringify([
      source,
      sourceEventId,
      sourceVersion,
      corrects ?? null,
      employmentId,
      hashes.get(fact),
    ]);
    const other = seen.get(key);
    if (other === undefined || fact.factId < other.factId) seen.set(key, fact);
  }
  return [...seen.values()];
}

function unite(facts: readonly Fact[], hashes: Hashes): (key: string) => string {
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    let root = key;
    for (let next = parent.get(root); next !== undefined; next = parent.get(root)) root = next;
    return root;
  };
  const join = (a: string, b: string): void => {
    const [rootA, rootB] = [find(a), find(b)];
    if (rootA !== rootB) parent.set(rootA, rootB);
  };
  for (const fact of facts) {
    const key = eventKey(fact.source, fact.sourceEventId);
    if (fact.corrects !== undefined) join(key, eventKey(fact.source, fact.corrects));
    else if (fact.statement.kind !== 'withdraw')
      join(key, JSON.stringify(['content', fact.source, fact.employmentId, hashes.get(fact)]));
  }
  return find;
}

function eventKey(source: string, eventId: string): string {
  return JSON.stringify(['event', source, eventId]);
}
