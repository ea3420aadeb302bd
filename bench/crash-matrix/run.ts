import { z } from 'zod';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiClient } from '../../src/embedded/story/api-client.js';
import { interrupted, say } from '../result.js';
import type { Cell } from './cells.js';
import { rounds } from './cells.js';
import { judge } from './judge.js';
import type { JudgedCell } from './judge.js';
import { startMatrixStack } from './stack.js';
import type { MatrixStack } from './stack.js';
import { MatrixTarget } from './target.js';
import type { Held } from './target.js';

/** A cell on its way: its person, and what became of the hold and of the process. */
interface Case {
  readonly cell: Cell;
  readonly key: string;
  readonly person: string;
  wasHeld: boolean;
  isFinished: boolean;
}

const HELD_WITHIN_MS = 120_000;
const DONE_WITHIN_MS = 240_000;
const BOSS = 'boss';

/** A digit would be taken for a part of nobody's name. */
const LETTERS = 'abcdefghij';

/**
 * Runs the cells on one stack, kill by kill: for each a person joins, leaves, and is held at the target at the cell's moment; when all of them are held, the
 * victim is killed once, and everything goes on. Effects are judged when everything is over, so that one that comes late is counted, too.
 */
export async function runCells(cells: readonly Cell[]): Promise<{
  readonly cells: readonly JudgedCell[];
  readonly openTasks: number;
}> {
  const target = new MatrixTarget();
  const stack = await startMatrixStack(await target.start());
  const cases: Case[] = [];
  const runAll = async (): Promise<void> => {
    const company = new Company(stack);
    await company.join([BOSS]);
    for (const round of rounds(cells)) cases.push(...(await runRound(round, stack, target, company)));
  };
  try {
    await Promise.race([runAll(), interrupted()]);
    const openTasks = await stack.query<{ count: string }>(`select count(*) from operator_task where status = 'open'`);
    return {
      cells: cases.map((one) => ({ ...one.cell, ...judge(target.effects, one.person, one) })),
      openTasks: Number(openTasks[0]?.count ?? 0),
    };
  } finally {
    await stack.stop();
    await target.stop();
  }
}

async function runRound(
  round: readonly Cell[],
  stack: MatrixStack,
  target: MatrixTarget,
  company: Company,
): Promise<readonly Case[]> {
  const since = performance.now();
  const { victim, moment } = round[0] as Cell;
  const keys = round.map((cell) => `c${[...String(cell.number)].map((digit) => LETTERS[Number(digit)]).join('')}`);
  const people = await company.join(keys);
  const cases = round.map((cell, index): Case => {
    const key = keys[index] ?? '';
    return { cell, key, person: people.get(key) ?? '', wasHeld: false, isFinished: false };
  });
  for (const { person } of cases) target.fill(person);
  const held = cases.map((one): Held => target.hold({ person: one.person, kind: one.cell.kind, moment }));
  await company.leave(keys);
  await Promise.all(
    cases.map(async (one, index) => {
      one.wasHeld = await isReached(held[index] as Held);
    }),
  );
  const { isBack } = await stack.kill(victim);
  // What a killed worker had not got in is gone with it; everybody else's goes on while the victim is away.
  for (const one of held) one.release(victim === 'worker' ? 'drop' : 'go-on');
  await isBack;
  await company.awaitGone(cases);
  const seconds = Math.round((performance.now() - since) / 1000);
  const finished = cases.filter((one) => one.isFinished).length;
  say(
    `${victim}, ${moment}: ${cases.filter((one) => one.wasHeld).length} held, ${finished} of ${cases.length} through (${seconds} s)`,
  );
  return cases;
}

async function isReached(held: Held): Promise<boolean> {
  const late = new AbortController();
  const waited = delay(HELD_WITHIN_MS, false, { signal: late.signal }).catch(() => false);
  const reached = await Promise.race([held.reached.then(() => true), waited]);
  late.abort();
  return reached;
}

const sentSchema = z.looseObject({ results: z.array(z.looseObject({ status: z.string(), identityId: z.string() })) });

/** The people of the matrix, hired and ended as HR would, through the API. */
class Company {
  readonly #api: ApiClient;

  constructor(private readonly stack: MatrixStack) {
    const signal = new AbortController().signal;
    this.#api = new ApiClient({ url: stack.run.api, signal, patienceMs: 120_000 });
  }

  /** Hires them and waits until they have everything; gives their ids by key. */
  async join(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const ids = await this.#send(keys, (key) => ({
      kind: 'hire',
      startOn: day(-10),
      zone: 'Etc/UTC',
      worker: 'employee',
      ...(key === BOSS ? {} : { manager: BOSS }),
      attributes: { givenName: key, familyName: 'Matrix', employeeNumber: key, department: 'Crew' },
    }));
    await this.#await(ids, 'joiner', 'provisioned', 'completed');
    return ids;
  }

  async leave(keys: readonly string[]): Promise<void> {
    const at = new Date().toISOString();
    await this.#send(keys, () => ({ kind: 'end', lastWorkingDay: day(0), manner: 'immediate', at }));
  }

  /** Waits until their leavers are over, or time is; notes which are. */
  async awaitGone(cases: readonly Case[]): Promise<void> {
    for (const end = Date.now() + DONE_WITHIN_MS; Date.now() < end; await delay(500)) {
      const rows = await this.stack.query<{ identity_id: string }>(
        `select identity_id from process where process_kind = 'leaver' and outcome = 'deleted' and identity_id = any($1::uuid[])`,
        [cases.map((one) => one.person)],
      );
      const gone = new Set(rows.map((row) => row.identity_id));
      for (const one of cases) one.isFinished = gone.has(one.person);
      if (cases.every((one) => one.isFinished)) return;
    }
  }

  async #send(keys: readonly string[], record: (key: string) => object): Promise<ReadonlyMap<string, string>> {
    const events = keys.map((key) => {
      const said = record(key);
      const { kind } = said as { readonly kind: string };
      return { source: 'hr', eventId: `${key}-${kind}`, person: key, employment: `${key}-1`, ...said };
    });
    const { results } = await this.#api.post(this.stack.run.token, '/v1/hr/events', events, sentSchema);
    const refused = results.find((one) => one.status !== 'accepted' && one.status !== 'duplicate');
    if (refused !== undefined) throw new Error(`HR's word was not taken: ${JSON.stringify(refused)}`);
    return new Map(keys.map((key, index) => [key, results[index]?.identityId ?? '']));
  }

  async #await(ids: ReadonlyMap<string, string>, kind: string, outcome: string, state: string): Promise<void> {
    for (const end = Date.now() + DONE_WITHIN_MS; ; await delay(500)) {
      const rows = await this.stack.query<{ outcome: string | null; state: string }>(
        'select outcome, state from process where process_kind = $1 and identity_id = any($2::uuid[])',
        [kind, [...ids.values()]],
      );
      const done = rows.filter((row) => row.state === state && row.outcome === outcome);
      if (done.length >= ids.size) return;
      if (Date.now() > end) throw new Error(`${done.length} of ${ids.size} have joined: ${JSON.stringify(rows)}`);
    }
  }
}

function day(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}
