import { join } from 'node:path';
import { StackError } from '../../src/embedded/errors.js';
import { describeMachine, goal, interrupted, report, say } from '../result.js';
import { openDoor } from '../spine/door.js';
import { startStack } from '../spine/stack.js';
import type { Stack } from '../spine/stack.js';
import { planCompany, startCompany } from './company.js';
import { cutInRow, figuresOf, provision } from './one.js';
import { writeCompanyPolicy } from './policies.js';
import { resultSchema } from './result.js';
import type { KillSwitchResult } from './result.js';

export interface KillSwitchOptions {
  readonly cuts: number;
  readonly accounts: number;
  /** Also written here. */
  readonly out: string | undefined;
  /** As the person typed it. */
  readonly command: string;
}

type Parts = KillSwitchResult['parts'];

/**
 * The kill switch's bench: from the call of a cut to the last proof, for people with many accounts. Brings its servers, ends them whatever
 * happens, and prints one JSON document on stdout; progress goes to stderr. A cut that is not proven in every account makes it fail.
 */
export async function runKillSwitch(options: KillSwitchOptions): Promise<void> {
  const { cuts, accounts } = options;
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const began = performance.now();
  say('starting Postgres and Temporal');
  const stack = await startStack();
  const interruption = interrupted();
  try {
    const parts = await Promise.race([measureRow(stack, options), interruption]);
    const result = resultSchema.parse({
      bench: 'kill-switch',
      format: 1,
      startedAt,
      tookSeconds: Math.round((performance.now() - began) / 1_000),
      command: options.command,
      machine,
      settings: { cuts, accounts },
      parts,
      goals: goalsOf(parts),
    } satisfies KillSwitchResult);
    await report(result, options.out);
  } catch (error) {
    // The logs are about to go.
    if (error instanceof StackError) say(error.remedy);
    throw error;
  } finally {
    await stack.stop();
  }
}

/** The cuts in a row: all people have the same accounts, and one worker serves them. */
async function measureRow(stack: Stack, { cuts, accounts }: KillSwitchOptions): Promise<Parts> {
  const company = await planCompany(stack, 'k', accounts);
  const tenancy = await stack.createTenancy('row', writeCompanyPolicy(join(stack.home, 'policy-row'), company));
  const targets = await startCompany(stack, company);
  const worker = await stack.startChild('worker-row', 'src/worker/main.js', { ...tenancy.env, ...targets.env });
  const door = openDoor(tenancy);
  try {
    say(`kill-switch: making ${cuts + 1} people with ${accounts} accounts each`);
    const [first, ...people] = await provision(door, cuts + 1, say);
    if (first !== undefined) await cutInRow(door, [first], say);
    say(`kill-switch: ${people.length} cuts in a row`);
    const one = await figuresOf(door, stack.adminUrl, company, await cutInRow(door, people, say));
    say(`kill-switch: in a row, p50 ${one.latencyMs.p50} ms, p99 ${one.latencyMs.p99} ms`);
    return { one };
  } finally {
    await door.close();
    await worker.stop();
    await targets.stop();
  }
}

/** Design section 6. Reported, never a reason to fail: absolute times belong to a machine. */
function goalsOf({ one }: Parts): KillSwitchResult['goals'] {
  return [goal('cut called to all Tier 1 proven, in a row, p99', 'lower', 10_000, 'ms', one.latencyMs.p99)];
}
