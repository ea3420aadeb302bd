import type { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBuild } from '../support/build.js';

/** Replays every history of a namespace as it is now; gives those that the bundle which made them cannot replay, with why. */
export async function unreplayable(client: Client): Promise<readonly string[]> {
  const code = await readFile(join(await ensureBuild(), 'build', 'workflow-bundle.js'), 'utf8');
  const problems: string[] = [];
  const histories = client.workflow.list().intoHistories({ concurrency: 4 });
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: { code } }, histories))
    if (error !== undefined) problems.push(`${workflowId}: ${error.message}`);
  return problems;
}
