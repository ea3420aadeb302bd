import type { IdentityId } from '../../src/domain/process/ids.js';
import { rounded, spread } from '../statistics.js';
import { Clocks } from '../spine/clocks.js';
import { until } from '../spine/door.js';
import type { Door } from '../spine/door.js';
import { Watch, completedJoiners, finishedCuts } from '../spine/watch.js';
import { kindsOf, slugsOf } from './company.js';
import type { Company } from './company.js';
import { provenAt, requireProven, tier1Visits } from './proofs.js';
import type { RowResult } from './result.js';

const STUCK_MS = 300_000;
/** How often the person at the terminal hears of it. */
const TELL_EVERY_MS = 10_000;
const TELL_PEOPLE_EVERY = 100;
/** Recorded in one call of the door. */
const HIRED_AT_ONCE = 500;

export interface Provisioning {
  /** People on their way at once. */
  readonly atOnce: number;
  say(line: string): void;
}

/** Hires people and waits until each has every account. */
export async function provision(door: Door, count: number, options: Provisioning): Promise<readonly IdentityId[]> {
  const ids: IdentityId[] = [];
  const ended = new Watch(door, completedJoiners, STUCK_MS);
  let left = count;
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const [id] = await door.hire(1);
      if (id === undefined) return;
      await ended.of(id);
      ids.push(id);
      if (ids.length % TELL_PEOPLE_EVERY === 0)
        options.say(`kill-switch: ${ids.length} of ${count} people have their accounts`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.atOnce, count) }, loop));
  return ids;
}

/** Cuts in a row, and when each was called for. */
export async function cutInRow(
  door: Door,
  people: readonly IdentityId[],
  say: (line: string) => void,
): Promise<ReadonlyMap<IdentityId, number>> {
  const called = new Map<IdentityId, number>();
  const ended = new Watch(door, finishedCuts, STUCK_MS);
  let toldAt = Date.now();
  for (const id of people) {
    const at = Date.now();
    called.set(id, at);
    await door.cut(id);
    await ended.of(id);
    if (Date.now() - toldAt < TELL_EVERY_MS) continue;
    toldAt = Date.now();
    say(`kill-switch: ${called.size} of ${people.length} cuts, the last one was over after ${toldAt - at} ms`);
  }
  return called;
}

/** The figures of cuts in a row. Throws when one of them was not proven in every account. */
export async function figuresOf(
  door: Door,
  adminUrl: string,
  company: Company,
  called: ReadonlyMap<IdentityId, number>,
): Promise<RowResult> {
  const people = [...called.keys()];
  await requireProven(door, adminUrl, company, slugsOf(company), people);
  const { at, clockBehindMs } = await provenAt(door, people);
  return {
    accounts: kindsOf(company),
    latencyMs: spread(people.map((id) => (at.get(id) ?? Number.NaN) - (called.get(id) ?? Number.NaN))),
    acceptedToProvenMs: spread(await new Clocks(door).cutToTier1Proven(people)),
    provenVisits: (await tier1Visits(door, people)).length,
    clockBehindMs,
    notCorrected: 0,
  };
}

export interface Backlog {
  readonly joiners: number;
  readonly perSecondRecorded: number;
  /** How many of them have not ended yet. */
  left(): Promise<number>;
}

/** Records joiners and tells their identity workflows all at once; resolves when the first of them is through. */
export async function queueJoiners(door: Door, joiners: number, say: (line: string) => void): Promise<Backlog> {
  const before = await endedJoiners(door);
  const began = performance.now();
  for (let recorded = 0; recorded < joiners; recorded += HIRED_AT_ONCE) {
    await door.hire(Math.min(HIRED_AT_ONCE, joiners - recorded), false);
    if (recorded % (5 * HIRED_AT_ONCE) === 0 && recorded > 0) say(`kill-switch: ${recorded} joiners recorded`);
  }
  const perSecondRecorded = rounded((joiners * 1_000) / (performance.now() - began));
  door.tell();
  const left = async (): Promise<number> => joiners - ((await endedJoiners(door)) - before);
  await until('the first joiner of the backlog', async () => (await left()) < joiners);
  return { joiners, perSecondRecorded, left };
}

async function endedJoiners(door: Door): Promise<number> {
  const row = await door.db
    .selectFrom('process')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('process_kind', '=', 'joiner')
    .where('state', '!=', 'running')
    .executeTakeFirstOrThrow();
  return Number(row.count);
}
