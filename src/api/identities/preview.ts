import { randomUUID } from 'node:crypto';
import { classify } from '../../domain/ledger/intake.js';
import type { Fact } from '../../domain/ledger/types.js';
import { brand } from '../../domain/process/ids.js';
import type { EmploymentId, FactId, IdentityId, Instant } from '../../domain/process/ids.js';
import type { Problem } from '../../hr/problems.js';
import { parseRecord } from '../../hr/record.js';
import { loadFacts } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import { employmentIndex, personIndex } from '../hr/person-lookup.js';
import { invalid } from '../http/problem.js';

type Deps = Pick<ApiDeps, 'db' | 'keys' | 'now'>;

/**
 * The person's facts with events that were never recorded. Reads only: ids of new employments are made up for this answer. Raises a 400 problem for an
 * event that the door would reject or that is about somebody else.
 */
export async function factsWith(
  deps: Deps,
  identityId: IdentityId,
  events: readonly unknown[],
): Promise<readonly Fact[]> {
  const now = deps.now();
  let facts = await loadFacts(deps.db, deps.keys, identityId);
  const madeUp = new Map<string, EmploymentId>();
  for (const [index, event] of events.entries()) {
    const path = `events[${index}]`;
    const parsed = parseRecord(event);
    if (!parsed.ok) throw invalid(parsed.problems.map((problem) => below(path, problem)));
    const { record } = parsed;
    const owner = await ownerOf(deps, record.source, record.person);
    if (owner !== identityId)
      throw invalid([
        { path: `${path}.person`, message: 'is not this person', expected: 'the person who is previewed' },
      ]);
    const employmentId = await employmentOf(deps, record.source, record.employment, madeUp);
    const fact: Fact = {
      factId: brand<FactId>(randomUUID()),
      identityId,
      employmentId,
      source: record.source,
      sourceEventId: record.eventId,
      sourceVersion: record.version,
      ...(record.corrects === undefined ? {} : { corrects: record.corrects }),
      recordedAt: now,
      statement: fixed(record.statement, now),
    };
    const classified = classify(facts, fact);
    if (classified.outcome === 'rejected')
      throw invalid([
        {
          path,
          message: `would be rejected (${classified.reason ?? 'not possible'})`,
          expected: 'an event that would be accepted',
        },
      ]);
    if (classified.outcome !== 'duplicate') facts = [...facts, fact];
  }
  return facts;
}

function fixed(statement: Fact['statement'], now: Instant): Fact['statement'] {
  return statement.kind === 'end' && statement.manner === 'immediate' && statement.at === undefined
    ? { ...statement, at: now }
    : statement;
}

function below(path: string, problem: Problem): Problem {
  return { ...problem, path: problem.path === '' ? path : `${path}.${problem.path}` };
}

async function ownerOf(deps: Deps, source: string, person: string): Promise<IdentityId | undefined> {
  const row = await deps.db
    .selectFrom('person_key')
    .select('identity_id')
    .where('source', '=', source)
    .where('key_index', '=', personIndex(deps.keys, source, person))
    .executeTakeFirst();
  return row?.identity_id;
}

async function employmentOf(
  deps: Deps,
  source: string,
  employment: string,
  madeUp: Map<string, EmploymentId>,
): Promise<EmploymentId> {
  const index = employmentIndex(deps.keys, source, employment);
  const row = await deps.db
    .selectFrom('employment')
    .select('employment_id')
    .where('source', '=', source)
    .where('key_index', '=', index)
    .executeTakeFirst();
  if (row !== undefined) return row.employment_id;
  const key = index.toString('hex');
  const known = madeUp.get(key) ?? brand<EmploymentId>(randomUUID());
  madeUp.set(key, known);
  return known;
}
