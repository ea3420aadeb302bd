import { join } from 'node:path';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { goal, say } from '../result.js';
import { runOnStack } from '../run.js';
import type { RunOptions } from '../run.js';
import { openDoor } from '../spine/door.js';
import type { Stack } from '../spine/stack.js';
import { planCompany, startCompany } from './company.js';
import { measureMany } from './many.js';
import { cutInRow, figuresOf, provision, queueJoiners } from './row.js';
import { writeCompanyPolicy } from './policies.js';
import { resultSchema } from './result.js';
import type { BacklogResult, KillSwitchResult, RowResult } from './result.js';

export interface KillSwitchOptions extends RunOptions {
  readonly cuts: number;
  readonly accounts: number;
  readonly backlog: number;
  readonly backlogCuts: number;
  readonly people: number;
  readonly parts: readonly string[];
}

type Parts = KillSwitchResult['parts'];

/** People on their way at once while they are made: what is measured comes after. */
const AT_ONCE = 8;

/**
 * The kill switch's bench: cuts in a row, cuts in a row behind a backlog of joiners, and many cuts at once; each from the call to the last proof. Brings its
 * servers, ends them whatever happens, and prints one JSON document on stdout; progress goes to stderr. A cut that is not proven in every account makes it fail.
 */
export async function runKillSwitch(options: KillSwitchOptions): Promise<void> {
  const { cuts, accounts, backlog, backlogCuts, people } = options;
  await runOnStack(options, resultSchema, async (stack) => {
    const parts = await measure(stack, options);
    const settings = { cuts, accounts, backlog, backlogCuts, people };
    return { bench: 'kill-switch', settings, parts, goals: goalsOf(parts) };
  });
}

async function measure(stack: Stack, options: KillSwitchOptions): Promise<Parts> {
  const { parts, people } = options;
  // First, while nothing else is left on the server.
  const many = parts.includes('many') ? { many: await measureMany(stack, people, say) } : {};
  const rows = parts.includes('row') || parts.includes('backlog') ? await measureRows(stack, options) : {};
  return { ...many, ...rows };
}

/** The cuts in a row, first alone and then behind joiners: all people have the same accounts, and one worker serves them. */
async function measureRows(stack: Stack, options: KillSwitchOptions): Promise<Omit<Parts, 'many'>> {
  const { accounts, backlog: joiners, parts } = options;
  const cuts = parts.includes('row') ? options.cuts : 0;
  const later = parts.includes('backlog') ? options.backlogCuts : 0;
  const company = await planCompany(stack, 'k', accounts);
  const tenancy = await stack.createTenancy('row', writeCompanyPolicy(join(stack.home, 'policy-row'), company));
  const targets = await startCompany(stack, company);
  const worker = await stack.startChild('worker-row', 'src/worker/main.js', { ...tenancy.env, ...targets.env });
  const door = openDoor(tenancy);
  const figures = (called: ReadonlyMap<IdentityId, number>) => figuresOf(door, stack.adminUrl, company, called);
  try {
    say(`kill-switch: making ${1 + cuts + later} people with ${accounts} accounts each`);
    const [first, ...people] = await provision(door, 1 + cuts + later, { atOnce: AT_ONCE, say });
    if (first !== undefined) await cutInRow(door, [first], say);
    const result: { row?: RowResult; backlog?: BacklogResult } = {};
    if (cuts > 0) {
      say(`kill-switch: ${cuts} cuts in a row`);
      result.row = await figures(await cutInRow(door, people.slice(0, cuts), say));
      say(`kill-switch: in a row, p50 ${result.row.latencyMs.p50} ms, p99 ${result.row.latencyMs.p99} ms`);
    }
    if (later > 0) {
      say(`kill-switch: recording ${joiners} joiners`);
      const backlog = await queueJoiners(door, joiners, say);
      say(`kill-switch: ${later} cuts behind them`);
      const called = await cutInRow(door, people.slice(cuts), say);
      const joinersLeft = await backlog.left();
      const joinersPerSecondRecorded = backlog.perSecondRecorded;
      result.backlog = { ...(await figures(called)), joiners, joinersPerSecondRecorded, joinersLeft };
    }
    return result;
  } finally {
    await door.close();
    await worker.stop();
    await targets.stop();
  }
}

/** Design section 6. Reported, never a reason to fail: absolute times belong to a machine. */
function goalsOf({ row, backlog }: Parts): KillSwitchResult['goals'] {
  const p99 = (name: string, wantedMs: number, part: RowResult | undefined) =>
    part === undefined ? [] : [goal(name, 'lower', wantedMs, 'ms', part.latencyMs.p99)];
  return [
    ...p99('cut called to all Tier 1 proven, in a row, p99', 10_000, row),
    ...p99('cut called to all Tier 1 proven, behind a backlog of joiners, p99', 60_000, backlog),
  ];
}
