import { randomUUID } from 'node:crypto';
import type { PolicyFiles } from '../../../src/domain/policy/types.js';
import type { IdentityId } from '../../../src/domain/process/ids.js';
import type { Phase } from '../../../src/domain/process/kinds.js';
import { day, eventually, hire, identityOf } from '../../support/world.js';
import type { World } from '../../support/world.js';
import { atRest } from './rest.js';

/** Changes a policy file by text; fails when the text is not there, so that a test never runs under a policy it did not mean. */
export function replaced(
  files: PolicyFiles,
  path: string,
  ...changes: readonly (readonly [string, string])[]
): PolicyFiles {
  return files.map((file) => {
    if (!file.path.endsWith(path)) return file;
    const text = changes.reduce((before, [from, to]) => {
      if (!before.includes(from)) throw new Error(`${path} has no text "${from}"`);
      return before.replace(from, to);
    }, file.text);
    return { ...file, text };
  });
}

/** No badge: nobody's hands are needed. */
export function withoutBadge(files: PolicyFiles): PolicyFiles {
  return files.map((file) => ({ ...file, text: file.text.replace('  - { application: badge }\n', '') }));
}

/** Someone who has joined and is at rest. */
export async function joined(world: World, person: string, change: Record<string, unknown> = {}): Promise<IdentityId> {
  const id = identityOf(await world.hr(hire(world, person, { startOn: day(-10), ...change })));
  await atRest(world, [id]);
  return id;
}

/** Ends someone's first employment now. */
export async function cut(world: World, person: string, change: Record<string, unknown> = {}): Promise<void> {
  await world.hr({
    source: 'hr',
    eventId: `${person}-end`,
    person,
    employment: `${person}-1`,
    kind: 'end',
    lastWorkingDay: day(0),
    at: new Date().toISOString(),
    manner: 'immediate',
    ...change,
  });
}

export function changed(person: string, n: number, fields: Record<string, unknown>): Record<string, unknown> {
  return {
    source: 'hr',
    eventId: `${person}-change-${n}`,
    person,
    employment: `${person}-1`,
    kind: 'change',
    effectiveOn: day(-5),
    ...fields,
  };
}

export interface OpenTask {
  readonly taskId: string;
  readonly workflowId: string;
  readonly kind: string;
  readonly code: string;
  readonly application: string | null;
}

/** The open operator tasks of a person. */
export async function tasksOf(world: World, id: IdentityId): Promise<readonly OpenTask[]> {
  const rows = await world.deps.db
    .selectFrom('operator_task')
    .innerJoin('process', 'process.process_id', 'operator_task.process_id')
    .select(['task_id', 'workflow_id', 'operator_task.kind', 'code', 'application'])
    .where('operator_task.identity_id', '=', id)
    .where('operator_task.status', '=', 'open')
    .orderBy('operator_task.created_at')
    .execute();
  return rows.map((row) => ({
    taskId: row.task_id,
    workflowId: row.workflow_id,
    kind: row.kind,
    code: row.code,
    application: row.application,
  }));
}

/** Waits for an operator task, of that code where one is given. */
export async function taskOf(world: World, id: IdentityId, code?: string): Promise<OpenTask> {
  return eventually(
    async () => {
      const tasks = await tasksOf(world, id);
      const found = tasks.find((task) => code === undefined || task.code === code);
      if (found === undefined) throw new Error(JSON.stringify(tasks));
      return found;
    },
    'an operator task',
    20_000,
  );
}

/** Gives an operator's word. A word that comes before the workflow waits for it is given again. */
export async function resolve(
  world: World,
  task: OpenTask,
  resolution: 'retry' | 'skip' | 'done-by-hand',
): Promise<void> {
  await eventually(async () => {
    await world.lifecycle.resolveTask(task.workflowId, { taskId: task.taskId, decisionId: randomUUID(), resolution });
    return true;
  }, 'the resolution');
}

export interface Proof {
  readonly application: string;
  readonly phase: string | null;
  readonly check: string;
  readonly verdict: string;
  readonly code: string | null;
}

/** The evidence of a person, oldest first. */
export async function evidenceOf(world: World, id: IdentityId, phase?: Phase): Promise<readonly Proof[]> {
  const rows = await world.deps.db
    .selectFrom('evidence')
    .select(['application', 'phase', 'check_kind', 'verdict', 'code'])
    .where('identity_id', '=', id)
    .$if(phase !== undefined, (query) => query.where('phase', '=', phase ?? null))
    .orderBy('at')
    .execute();
  return rows.map(({ check_kind: check, ...row }) => ({ ...row, check }));
}

/** How visits stand, by application. */
export async function visitsOf(world: World, id: IdentityId, phase?: string) {
  return world.deps.db
    .selectFrom('visit')
    .select(['application', 'phase', 'status', 'outcome', 'code', 'attempt'])
    .where('identity_id', '=', id)
    .$if(phase !== undefined, (query) => query.where('phase', '=', (phase ?? '') as 'cut'))
    .orderBy('created_at')
    .orderBy('application')
    .execute();
}

/** The directory's own view of the person whose logins begin so. */
export async function inDirectory(world: World, loginStart: string) {
  return (await world.directory.store.users()).filter((user) => user.userName.startsWith(loginStart));
}
