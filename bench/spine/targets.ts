import { join } from 'node:path';
import { sql } from 'kysely';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { median, rounded, spread } from '../statistics.js';
import { Clocks } from './clocks.js';
import { cpuBetween, readCpu } from './cpu.js';
import type { CpuReading } from './cpu.js';
import { openDoor } from './door.js';
import type { Door } from './door.js';
import { medianCpu, perProcess } from './engine.js';
import { targetApplications, writeTargetsPolicy } from './policies.js';
import type { TargetsResult, Wave } from './result.js';
import { shapeOf } from './shape.js';
import type { Stack } from './stack.js';
import { Watch, completedJoiners, finishedCuts } from './watch.js';

export interface TargetsOptions {
  readonly people: number;
  readonly idlePeople: number;
  readonly rounds: number;
  readonly concurrency: number;
  say(line: string): void;
}

/** Joiners and cuts on the sandbox directory (SCIM) and ERP (SQL), each a process of its own, one at a time and many at once. */
export async function measureTargets(stack: Stack, options: TargetsOptions): Promise<TargetsResult> {
  const tenancy = await stack.createTenancy('targets', writeTargetsPolicy(join(stack.home, 'policy-targets')));
  const targets = await stack.startChild('targets', 'src/embedded/targets/main.js', {
    TENURE_SANDBOX_POSTGRES_URL: stack.adminUrl,
  });
  const worker = await stack.startChild('worker', 'src/worker/main.js', { ...tenancy.env, ...targets.ready.env });
  const door = openDoor(tenancy);
  try {
    const pids = { worker: worker.mark.pid, targets: targets.mark.pid, ...stack.pids };
    return await new Measurement(door, pids, options).run();
  } finally {
    await door.close();
    await worker.stop();
    await targets.stop();
  }
}

class Measurement {
  readonly #cuts: IdentityId[] = [];
  readonly #joiners: IdentityId[] = [];

  constructor(
    readonly door: Door,
    readonly pids: Readonly<Record<string, number>>,
    readonly options: TargetsOptions,
  ) {}

  async run(): Promise<TargetsResult> {
    const { idlePeople, people, rounds, concurrency, say } = this.options;
    say('targets: warming up');
    await this.#joinersWave(Math.min(concurrency, people), concurrency);
    await this.#cutsWave(await this.#hired(1), 1);
    say(`targets: ${idlePeople} joiners and cuts, one at a time`);
    const idleJoiners = await this.#joinersWave(idlePeople, 1);
    const idleCuts = await this.#cutsWave(idleJoiners.ids, 1);
    const joiners: Timed[] = [];
    const cuts: Timed[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      joiners.push(await this.#joinersWave(people, concurrency));
      cuts.push(await this.#cutsWave(joiners.at(-1)?.ids ?? [], concurrency));
      say(
        `targets: round ${round} of ${rounds}: ${perMinute(joiners.at(-1))} joiners and ${perMinute(cuts.at(-1))} cuts/min`,
      );
    }
    say('targets: cuts behind joiners');
    const behind = await this.#cutsBehindJoiners(idlePeople);
    return this.#result({ idleJoiners, idleCuts, joiners, cuts, behind });
  }

  /** People who are provisioned, to be cut by somebody. */
  async #hired(count: number): Promise<readonly IdentityId[]> {
    return (await this.#joinersWave(count, this.options.concurrency)).ids;
  }

  /** A closed loop: `concurrency` joiners are always under way, each person's next one starts when the last has ended. */
  async #joinersWave(people: number, concurrency: number): Promise<Timed> {
    const ids: IdentityId[] = [];
    const ended = new Watch(this.door, completedJoiners);
    const timed = await this.#timed(people, concurrency, ids, async () => {
      const [id] = await this.door.hire(1);
      if (id === undefined) return;
      ids.push(id);
      await ended.of(id);
    });
    this.#joiners.push(...ids);
    return timed;
  }

  /** The same with cuts; each is over when Tier 1 and Tier 2 are done and only retention is left. */
  async #cutsWave(people: readonly IdentityId[], concurrency: number): Promise<Timed> {
    const ids: IdentityId[] = [];
    const waiting = [...people];
    const ended = new Watch(this.door, finishedCuts);
    const timed = await this.#timed(people.length, concurrency, ids, async () => {
      const id = waiting.shift();
      if (id === undefined) return;
      ids.push(id);
      await this.door.cut(id);
      await ended.of(id);
    });
    this.#cuts.push(...ids);
    return timed;
  }

  async #cutsBehindJoiners(count: number): Promise<Timed> {
    const people = await this.#hired(count);
    let isOver = false;
    const backlog = Promise.all(
      Array.from({ length: this.options.concurrency }, async () => {
        while (!isOver) await this.#joinersWave(1, 1);
      }),
    );
    try {
      return await this.#cutsWave(people, 1);
    } finally {
      isOver = true;
      await backlog;
    }
  }

  async #timed(
    people: number,
    concurrency: number,
    ids: readonly IdentityId[],
    one: () => Promise<void>,
  ): Promise<Timed> {
    let left = people;
    const cpu = readCpu(this.pids);
    const began = performance.now();
    const loop = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await one();
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, people) }, loop));
    const seconds = (performance.now() - began) / 1_000;
    return { ids, seconds, concurrency, cpu: perProcess(cpuBetween(cpu, readCpu(this.pids)), people) };
  }

  async #result(waves: {
    readonly idleJoiners: Timed;
    readonly idleCuts: Timed;
    readonly joiners: readonly Timed[];
    readonly cuts: readonly Timed[];
    readonly behind: Timed;
  }): Promise<TargetsResult> {
    const clocks = new Clocks(this.door);
    const firstWrite = (waves: readonly Timed[]) => clocks.acceptedToFirstWrite(waves.flatMap((one) => one.ids));
    const proven = (waves: readonly Timed[]) => clocks.cutToTier1Proven(waves.flatMap((one) => one.ids));
    const cutShapes = (await clocks.historiesOf('leaver', waves.idleCuts.ids)).map((history) => shapeOf(history));
    return {
      applications: [...targetApplications],
      joiners: {
        idle: waveOf([waves.idleJoiners], await firstWrite([waves.idleJoiners])),
        load: waveOf(waves.joiners, await firstWrite(waves.joiners)),
      },
      cuts: {
        idle: waveOf([waves.idleCuts], await proven([waves.idleCuts])),
        load: waveOf(waves.cuts, await proven(waves.cuts)),
        behindJoiners: waveOf([waves.behind], await proven([waves.behind])),
      },
      cpuMsPerJoiner: medianCpu(waves.joiners.map((one) => one.cpu)),
      cpuMsPerCut: medianCpu(waves.cuts.map((one) => one.cpu)),
      cutsHistoryEvents: median(cutShapes.map((shape) => shape.events)),
      cutsRegularActivities: median(cutShapes.map((shape) => shape.activities)),
      tier1: await tier1Outcomes(this.door, this.#cuts),
      clockBehindMs: spread(clocks.behindMs),
      notCorrected: clocks.notCorrected,
    };
  }
}

interface Timed {
  readonly ids: readonly IdentityId[];
  readonly seconds: number;
  readonly concurrency: number;
  readonly cpu: CpuReading;
}

function perMinute(timed: Timed | undefined): number {
  return timed === undefined ? 0 : rounded((timed.ids.length * 60) / timed.seconds);
}

function waveOf(timed: readonly Timed[], latenciesMs: readonly number[]): Wave {
  const speeds = timed.map(perMinute);
  return {
    concurrency: timed[0]?.concurrency ?? 1,
    people: timed.reduce((sum, one) => sum + one.ids.length, 0),
    perMinute: rounded(median(speeds)),
    perMinuteByRound: speeds,
    latencyMs: spread(latenciesMs),
  };
}

async function tier1Outcomes(door: Door, people: readonly IdentityId[]): Promise<Record<string, number>> {
  const rows = await door.db
    .selectFrom('visit')
    .select(['outcome', (eb) => eb.fn.countAll<string>().as('visits')])
    .where('tier', '=', 'T1')
    .where('identity_id', '=', sql<IdentityId>`any(${[...people]}::uuid[])`)
    .groupBy('outcome')
    .execute();
  return Object.fromEntries(rows.map((row) => [row.outcome ?? 'open', Number(row.visits)]));
}
