import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('./histories/', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface StoredHistory {
  readonly workflow: string;
  readonly name: string;
  readonly workflowId: string;
  readonly history: ReturnType<typeof historyFromJSON>;
}

/** Opened by no process any more; those that run go on. Their histories cannot be recorded anew. */
const KEPT: ReadonlySet<string> = new Set(['operatorWorkflow']);

/** Removes all stored histories, before they are recorded anew. */
export function clearHistories(): void {
  for (const workflow of readdirSync(FOLDER))
    if (!KEPT.has(workflow)) rmSync(join(FOLDER, workflow), { recursive: true, force: true });
}

/** Stores a history as `histories/<workflow>/<name>.json`, without a trace of the machine that it was recorded on. */
export function storeHistory(stored: StoredHistory): void {
  const text = historyToJSON(stored.history);
  // Workers and their sticky queues are called after process and host.
  const workers = [...new Set([...text.matchAll(/\d+@/g)].map(([pid]) => `${pid}${hostname()}`))];
  const plain = [`file://${ROOT}`, ROOT, ...workers].reduce((rest, name) => rest.replaceAll(name, ''), text);
  if (plain.includes(ROOT)) throw new Error('the history names a folder of this machine');
  const file = join(FOLDER, stored.workflow, `${stored.name}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const { events } = JSON.parse(plain) as { readonly events: unknown };
  writeFileSync(file, `${JSON.stringify({ workflowId: stored.workflowId, events }, null, 1)}\n`);
}

/** All stored histories, by workflow and name. */
export function readHistories(): readonly StoredHistory[] {
  return readdirSync(FOLDER).flatMap((workflow) =>
    readdirSync(join(FOLDER, workflow)).map((file) => {
      const { workflowId, events } = JSON.parse(readFileSync(join(FOLDER, workflow, file), 'utf8')) as {
        readonly workflowId: string;
        readonly events: unknown;
      };
      return { workflow, name: file.replace(/\.json$/, ''), workflowId, history: historyFromJSON({ events }) };
    }),
  );
}
