import { beforeAll, describe, expect, it } from '@jest/globals';
import { DefaultLogger, Runtime, Worker, makeTelemetryFilterString } from '@temporalio/worker';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBuild } from '../support/build.js';
import { readHistories } from './histories.js';

/**
 * What runs today must go on tomorrow: stored histories of real runs are replayed against the bundle that is about to be released. A change that a running
 * process cannot take fails here; it needs a patch marker, or new histories when no such process can be running (docs/testing.md).
 */
describe('stored histories', () => {
  const histories = readHistories();
  let code: string;

  beforeAll(async () => {
    Runtime.install({
      shutdownSignals: [],
      logger: new DefaultLogger('ERROR', () => undefined),
      telemetryOptions: {
        logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), forward: {} },
      },
    });
    code = await readFile(join(await ensureBuild(), 'build', 'workflow-bundle.js'), 'utf8');
  });

  /** The histories that a bundle cannot replay, with why. */
  async function refused(bundle: string): Promise<ReadonlyMap<string, Error>> {
    const errors = new Map<string, Error>();
    const given = histories.map(({ workflow, name, workflowId, history }) => ({
      workflowId: `${workflow}/${name} ${workflowId}`,
      history,
    }));
    let replayed = 0;
    for await (const result of Worker.runReplayHistories({ workflowBundle: { code: bundle } }, given)) {
      replayed += 1;
      if (result.error !== undefined) errors.set(result.workflowId.split(' ')[0] ?? '', result.error);
    }
    expect(replayed).toBe(histories.length);
    return errors;
  }

  it('there is one of every workflow that the bundle serves', () => {
    const served = [...code.matchAll(/^\/\* harmony export \*\/ {3}(\w+Workflow): \(\) =>/gm)].map((match) => match[1]);
    const recorded = new Set(histories.map((one) => one.workflow));
    expect(served.length).toBeGreaterThanOrEqual(7);
    expect(served.filter((type) => !recorded.has(type ?? ''))).toEqual([]);
  });

  it('are replayed by the bundle as it is', async () => {
    const errors = await refused(code);
    expect([...errors].map(([name, error]) => `${name}: ${error.message}`)).toEqual([]);
  });

  it.each([
    {
      change: 'one more activity at a process’ start',
      from: /this\.#schedule = (await [\w.]+\.bookkeeping\.openProcess\(this\.ref\));/,
      to: '$1; this.#schedule = $1;',
      how: /^DeterminismViolationError$/,
      fails: (workflow: string) => /^(joiner|mover|leaver|rehire|operator)Workflow$/.test(workflow),
    },
    {
      change: 'one activity fewer in a joiner',
      from: /await run\.withOperator\(\(\) => [\w.]+\.bookkeeping\.reserveNames\(\{ \.\.\.run\.ref, renames: false \}\)\);/,
      to: '',
      how: /^(DeterminismViolation|Replay)Error$/,
      fails: (workflow: string) => workflow === 'joinerWorkflow',
    },
    {
      change: 'one more timer in the queue',
      from: /const queue = (await [\w.]+\.bookkeeping\.advanceQueue\()/,
      to: 'await (0,_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__.sleep)(1); const queue = $1',
      how: /^DeterminismViolationError$/,
      fails: (workflow: string) => workflow === 'identityWorkflow',
    },
  ])('refuse a planted change: $change', async ({ from, to, fails, how }) => {
    expect(code).toMatch(from);
    const errors = await refused(code.replace(from, to));
    const expected = histories.filter((one) => fails(one.workflow)).map((one) => `${one.workflow}/${one.name}`);
    expect(expected.length).toBeGreaterThan(0);
    expect([...errors.keys()].filter((name) => expected.includes(name)).sort()).toEqual([...expected].sort());
    // With a result too few, what follows gets a result that is not its own, which may show as another failure of the workflow task.
    for (const name of expected) expect(errors.get(name)?.name).toMatch(how);
  });
});
