import type { Command } from 'commander';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, instant, table } from './output.js';

interface Answer {
  readonly identityId: string;
  readonly state: 'erased' | 'erasable' | 'proposed';
  readonly erasureId?: string;
  readonly dueAt?: string;
  readonly expiresAt?: string;
}
interface Request {
  readonly erasureId: string;
  readonly identityId: string;
  readonly state: string;
  readonly proposedBy: string;
  readonly proposedAt: string;
  readonly dueAt: string | null;
  readonly confirmedBy: string | null;
}
interface Flags {
  readonly reason: string;
  readonly dryRun?: boolean;
  readonly queue?: boolean;
}

const WORDS: Readonly<Record<Answer['state'], string>> = {
  erased: 'This person was erased before; nothing is left to do.',
  erasable: 'Nothing stands against it.',
  proposed: 'Proposed. Another person has to confirm it.',
};

/** `erase` asks for an erasure, `erasures` and `erasures confirm` are for the second person. */
export function addErasureCommands(program: Command, context: CliContext): void {
  program
    .command('erase <who>')
    .description('asks to erase a person who has left; a second person confirms')
    .requiredOption('--reason <text>', 'why; kept under the key of the person, and gone with it')
    .option('--dry-run', 'say whether it could be done')
    .option('--queue', 'wait for the end of the retention duty instead of being refused')
    .action(async (who: string, { reason, dryRun, queue }: Flags) => {
      const id = await findPerson(context, who);
      const body = { reason, dryRun: dryRun === true, queue: queue === true };
      const answer = await context.api.post<Answer>(`/v1/identities/${id}/erasure`, body);
      context.show(answer, () =>
        fields([
          ['Person', answer.identityId],
          ['Answer', WORDS[answer.state]],
          ['On', answer.dueAt === undefined ? null : instant(answer.dueAt)],
          ['Confirm it', answer.erasureId === undefined ? null : `tenure erasures confirm ${answer.erasureId} --yes`],
          ['Until', answer.expiresAt === undefined ? null : instant(answer.expiresAt)],
        ]),
      );
    });
  const erasures = program
    .command('erasures')
    .description('erasure requests, newest first')
    .action(async () => {
      const items = await context.api.list<Request>('/v1/erasures', 200);
      context.show(items, () =>
        table(
          ['Id', 'Person', 'State', 'Asked by', 'At', 'Confirmed by', 'On'],
          items.map((one) => [
            one.erasureId,
            one.identityId,
            one.state,
            one.proposedBy,
            instant(one.proposedAt),
            one.confirmedBy,
            one.dueAt === null ? null : instant(one.dueAt),
          ]),
        ),
      );
    });
  erasures
    .command('confirm <id>')
    .description('confirms an erasure as the second person; it cannot be taken back')
    .option('--yes', 'do not ask for the confirmation')
    .action(async (id: string, flags: { yes?: boolean }) => {
      if (flags.yes !== true) throw new CliError(EXIT.usage, 'This cannot be taken back. Say --yes to do it.');
      const path = `/v1/erasures/${encodeURIComponent(id)}/confirmation`;
      const result = await context.api.post<{ state: string; dueAt: string | null }>(path, {});
      context.show(result, () =>
        fields([
          ['State', result.state],
          ['On', result.dueAt === null ? null : instant(result.dueAt)],
        ]),
      );
    });
}
