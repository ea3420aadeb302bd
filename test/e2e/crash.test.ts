import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureBuild } from '../support/build.js';
import { expectedDirectory, expectedEffects, expectedErp } from './support/expected.js';
import { peek } from './support/peek.js';
import { seeded } from './support/seeded.js';
import { Home } from './support/stack-process.js';
import type { ChildName, Run } from './support/stack-process.js';

/** Chapters of the story by the beginning of their titles: in the second people join, in the third they move, leave and are renamed. */
const JOINING = 'People join';
const CHANGING = 'One moves';
const TITLES = [JOINING, CHANGING] as const;

interface Moment {
  /** After this is said … */
  readonly after: string;
  /** … and so many milliseconds. */
  readonly ms: number;
}
type Victim = ChildName | 'supervisor' | 'everything';
interface Kill extends Moment {
  readonly victim: Victim;
}

const CHILDREN: readonly ChildName[] = ['api', 'worker', 'temporal', 'postgres', 'targets'];
const SEED = Number(process.env['TENURE_TEST_SEED'] ?? 3);
const IS_FULL = process.env['TENURE_TEST_FULL'] === '1';
const TIMEOUT_MS = 400_000;

describe(`kill -9 in mid-story (seed ${SEED})`, () => {
  const random = seeded(SEED);
  const within = (title: string, ms: number): Moment => ({ after: title, ms: Math.floor(random() * ms) });
  /** One after the other in one story: two while people join, the rest while they change and leave. */
  const children = [...CHILDREN]
    .map((victim) => ({ victim, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ victim }, index): Kill => ({ victim, ...within(index < 3 ? JOINING : CHANGING, 1_500) }));
  const cases: readonly (readonly [string, readonly Kill[]])[] = IS_FULL
    ? [...CHILDREN, 'supervisor' as const, 'everything' as const].flatMap((victim) =>
        TITLES.flatMap((title) =>
          [1, 2].map((turn): [string, Kill[]] => [
            `${victim}, ${title} ${turn}`,
            [{ victim, ...within(title, 5_000) }],
          ]),
        ),
      )
    : [
        ['each child alone, one after the other', children],
        [
          'the supervisor alone, then everything at once',
          [
            { victim: 'supervisor', ...within(JOINING, 3_000) },
            { victim: 'everything', ...within(CHANGING, 3_000) },
          ],
        ],
      ];

  let home: Home | undefined;
  beforeAll(async () => {
    await ensureBuild();
  });
  afterEach(async () => {
    await home?.remove();
    home = undefined;
  });

  it.each(cases)(
    'ends the same: %s',
    async (_, kills) => {
      home = await Home.make();
      let run = home.start();
      for (const kill of kills) run = await strike(home, run, kill);
      await run.says('Tenure is up', 300_000);
      expect(run.output).toContain('Everything due now is done and proven');
      // Nobody else dies of it.
      const killed = kills.filter(({ victim }) => victim !== 'supervisor' && victim !== 'everything');
      expect(run.output.match(/ended unexpectedly/g) ?? []).toHaveLength(killed.length);
      const seen = await peek(await home.info());
      expect(seen.directory).toEqual(expectedDirectory);
      expect(seen.erp).toEqual(expectedErp);
      expect(seen.effects).toEqual(expectedEffects);
      expect(await run.end('SIGTERM')).toBe(0);
    },
    TIMEOUT_MS,
  );
});

/** Kills at the moment and waits until what was killed is back; returns the run that goes on. */
async function strike(home: Home, run: Run, { victim, after, ms }: Kill): Promise<Run> {
  await run.says(after);
  await delay(ms);
  expect(run.output).not.toContain('Tenure is up');
  const pids = await home.pids();
  if (victim === 'supervisor' || victim === 'everything') {
    await run.end('SIGKILL');
    if (victim === 'everything') for (const pid of Object.values(pids)) killNow(pid);
    return home.start();
  }
  const pid = pids[victim];
  if (pid === undefined) throw new Error(`${victim} does not run:\n${run.output}`);
  killNow(pid);
  for (let waited = 0; ((await home.pids())[victim] ?? pid) === pid; waited += 50) {
    if (waited > 60_000) throw new Error(`${victim} did not come back:\n${run.output}`);
    await delay(50);
  }
  await run.says(' ended unexpectedly; starting it again.');
  return run;
}

/** The Node children may have noticed their supervisor's end and be gone. */
function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
