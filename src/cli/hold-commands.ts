import type { Command } from 'commander';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { fields, instant, table } from './output.js';

const MAX = 10_000;

interface HoldView {
  readonly holdId: string;
  readonly identityId: string;
  readonly reason: string | null;
  readonly reference: string | null;
  readonly setAt: string;
  readonly setBy: string;
  readonly liftedAt: string | null;
}

/** `hold set`, `hold lift`, `hold list`: orders to keep everything of a person. */
export function addHoldCommands(program: Command, context: CliContext): void {
  const hold = program.command('hold').description('legal holds: nothing of a person is archived or deleted');
  hold
    .command('set <who>')
    .description('puts a person under legal hold; cuts go on as ever')
    .requiredOption('--reason <text>', 'why; kept under the key of the person')
    .option('--reference <text>', 'the file number or matter')
    .action(async (who: string, flags: { reason: string; reference?: string }) => {
      const path = `/v1/identities/${await findPerson(context, who)}/legal-hold`;
      const view = await context.api.put<HoldView>(path, flags);
      context.show(view, () => render(view));
    });
  hold
    .command('lift <who>')
    .description('lifts the legal hold; what waited for it goes on')
    .requiredOption('--reason <text>', 'why')
    .action(async (who: string, flags: { reason: string }) => {
      const path = `/v1/identities/${await findPerson(context, who)}/legal-hold`;
      const view = await context.api.delete<HoldView>(path, flags);
      context.show(view, () => render(view));
    });
  hold
    .command('list')
    .description('people under legal hold')
    .option('--all', 'lifted ones, too')
    .action(async (flags: { all?: boolean }) => {
      const state = flags.all === true ? 'all' : 'standing';
      const holds = await context.api.list<HoldView>(`/v1/legal-holds?state=${state}`, MAX);
      context.show(holds, () =>
        table(
          ['Person', 'Since', 'By', 'Reason', 'Reference', 'Lifted'],
          holds.map((one) => [
            one.identityId,
            instant(one.setAt),
            one.setBy,
            one.reason,
            one.reference,
            one.liftedAt === null ? null : instant(one.liftedAt),
          ]),
        ),
      );
    });
}

function render(view: HoldView): string {
  return fields([
    ['Person', view.identityId],
    ['Held since', instant(view.setAt)],
    ['Reason', view.reason],
    ['Reference', view.reference],
    ['Lifted', view.liftedAt === null ? null : instant(view.liftedAt)],
  ]);
}
