import type { IdentityId } from '../../src/domain/process/ids.js';
import { spread } from '../statistics.js';
import { Clocks } from '../spine/clocks.js';
import type { Door } from '../spine/door.js';
import { Watch, completedJoiners, finishedCuts } from '../spine/watch.js';
import { kindsOf, slugsOf } from './company.js';
import type { Company } from './company.js';
import { requireProven, tier1Visits } from './proofs.js';
import type { OneResult } from './result.js';

/** People on their way at once while they are made: what is measured comes after. */
const AT_ONCE = 8;
const STUCK_MS = 300_000;
const TELL_EVERY = 20;

/** Hires people and waits until each has every account. */
export async function provision(
  door: Door,
  count: number,
  say: (line: string) => void,
): Promise<readonly IdentityId[]> {
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
      if (ids.length % 50 === 0) say(`kill-switch: ${ids.length} of ${count} people have their accounts`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, loop));
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
  for (const id of people) {
    const at = Date.now();
    called.set(id, at);
    await door.cut(id);
    await ended.of(id);
    if (called.size % TELL_EVERY === 0)
      say(`kill-switch: ${called.size} of ${people.length} cuts, the last one was over after ${Date.now() - at} ms`);
  }
  return called;
}

/** The figures of cuts in a row. Throws when one of them was not proven in every account. */
export async function figuresOf(
  door: Door,
  adminUrl: string,
  company: Company,
  called: ReadonlyMap<IdentityId, number>,
): Promise<OneResult> {
  const people = [...called.keys()];
  await requireProven(door, adminUrl, company, slugsOf(company), people);
  const clocks = new Clocks(door);
  const proven = await clocks.tier1ProvenAt(people);
  const latencies = people.map((id) => (proven.get(id) ?? Number.POSITIVE_INFINITY) - (called.get(id) ?? 0));
  const { behindMs, notCorrected } = clocks;
  const clockBehindMs = spread(behindMs);
  if (notCorrected > 0 || latencies.some((ms) => !Number.isFinite(ms)))
    throw new Error(`${notCorrected} proofs have an instant that cannot be put on the wall's clock`);
  return {
    accounts: kindsOf(company),
    latencyMs: spread(latencies),
    acceptedToProvenMs: spread(await clocks.cutToTier1Proven(people)),
    provenVisits: (await tier1Visits(door, people)).length,
    clockBehindMs,
    notCorrected: 0,
  };
}
