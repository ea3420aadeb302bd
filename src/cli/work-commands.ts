import type { Command } from 'commander';
import { findPerson, isId } from './context.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, instant, table } from './output.js';

interface ListedApproval {
  readonly approvalId: string;
  readonly identity: { readonly displayName: string };
  readonly approver: { readonly displayName: string } | null;
  readonly entitlement: string;
  readonly status: string;
  readonly expiresAt: string;
}
interface ListedTask {
  readonly taskId: string;
  readonly identity: { readonly displayName: string };
  readonly application: string | null;
  readonly kind: string;
  readonly code: string;
  readonly instructions: string | null;
  readonly dueAt: string | null;
}
interface ListFlags {
  readonly status?: string;
  readonly person?: string;
}

const MAX = 1_000;

/** `approvals`, `approve`, `reject`, `tasks`, `resolve`. */
export function addWorkCommands(program: Command, context: CliContext): void {
  program
    .command('approvals')
    .description('approvals that wait (with a manager’s token: for that manager)')
    .option('--status <status>', 'pending, approved, denied, expired, withdrawn or all')
    .option('--person <who>', 'about this person')
    .action(async (flags: ListFlags) => {
      const items = await context.api.list<ListedApproval>(`/v1/approvals${await queryOf(context, flags)}`, MAX);
      context.show(items, () =>
        table(
          ['For', 'Entitlement', 'Approver', 'State', 'Until', 'Id'],
          items.map((one) => [
            one.identity.displayName,
            one.entitlement,
            one.approver?.displayName ?? 'nobody',
            one.status,
            instant(one.expiresAt),
            one.approvalId,
          ]),
        ),
      );
    });
  for (const [name, verdict] of [
    ['approve', 'approved'],
    ['reject', 'denied'],
  ] as const)
    program
      .command(`${name} <approval>`)
      .description(`${name}s what an approval asks for`)
      .option('--comment <text>', 'kept with the decision')
      .action(async (id: string, flags: { comment?: string }) => {
        const body = { verdict, ...(flags.comment === undefined ? {} : { comment: flags.comment }) };
        const path = `/v1/approvals/${encodeURIComponent(id)}/decision`;
        const result = await context.api.post<{ status: string }>(path, body);
        context.show(result, () => fields([['Recorded', result.status]]));
      });
  addTasks(program, context);
}

function addTasks(program: Command, context: CliContext): void {
  program
    .command('tasks')
    .description('what waits for a person')
    .option('--status <status>', 'open, resolved, withdrawn or all')
    .option('--person <who>', 'about this person')
    .action(async (flags: ListFlags) => {
      const items = await context.api.list<ListedTask>(`/v1/tasks${await queryOf(context, flags)}`, MAX);
      context.show(items, () =>
        table(
          ['For', 'Application', 'Kind', 'Code', 'What to do', 'Until', 'Id'],
          items.map((one) => [
            one.identity.displayName,
            one.application,
            one.kind,
            one.code,
            one.instructions,
            instant(one.dueAt),
            one.taskId,
          ]),
        ),
      );
    });
  program
    .command('resolve <task> <resolution>')
    .description(
      'resolves an operator task (its id, or whose only open one it is): retry, skip (with a reason) or done-by-hand (with proof)',
    )
    .option('--reason <text>', 'why')
    .option('--proof <text>', 'how it can be seen that it was done')
    .action(async (task: string, resolution: string, flags: { reason?: string; proof?: string }) => {
      if (!['retry', 'skip', 'done-by-hand'].includes(resolution))
        throw new CliError(EXIT.usage, 'The resolution must be retry, skip or done-by-hand.');
      const id = await findTask(context, task);
      const result = await context.api.post<{ status: string }>(`/v1/tasks/${encodeURIComponent(id)}/resolution`, {
        resolution,
        ...flags,
      });
      context.show(result, () => fields([['Recorded', result.status]]));
    });
}

/** A task by its id, or the only open one of a person. Several are listed, none is guessed. */
async function findTask(context: CliContext, text: string): Promise<string> {
  if (isId(text)) return text;
  const open = await context.api.list<ListedTask>(`/v1/tasks${await queryOf(context, { person: text })}`, MAX);
  const [first, ...others] = open;
  if (first === undefined) throw new CliError(EXIT.notFound, `Nothing of "${text}" waits for a person.`);
  if (others.length === 0) return first.taskId;
  const list = open.map((one) => `  ${one.taskId}  ${one.application ?? ''}  ${one.code}`);
  throw new CliError(EXIT.usage, [`Several tasks wait for "${text}"; name one by id:`, ...list].join('\n'));
}

async function queryOf(context: CliContext, flags: ListFlags): Promise<string> {
  const query = new URLSearchParams();
  if (flags.status !== undefined) query.set('status', flags.status);
  if (flags.person !== undefined) query.set('identity', await findPerson(context, flags.person));
  return query.size === 0 ? '' : `?${query.toString()}`;
}
