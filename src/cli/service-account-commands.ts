import type { Command } from 'commander';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { fields, instant, table } from './output.js';

const MAX = 10_000;

interface Listed {
  readonly serviceAccountId: string;
  readonly application: string;
  readonly login: string;
  readonly origin: string;
  readonly state: string;
  readonly phase: string | null;
  readonly waitsFor: string | null;
  readonly until: string | null;
}
interface Shown extends Listed {
  readonly purpose: string | null;
  readonly owners: readonly {
    readonly displayName: string;
    readonly removal: string;
    readonly confirmation: string;
  }[];
}

/** `service-accounts list|show|declare|owners|scream|review`. Owners answer with `approve` and `reject`. */
export function addServiceAccountCommands(program: Command, context: CliContext): void {
  const group = program
    .command('service-accounts')
    .description('accounts of programs: asked about, closed for a scream test, removed when all owners agree');
  const pathOf = (id: string, rest = ''): string => `/v1/service-accounts/${encodeURIComponent(id)}${rest}`;
  const show = (view: Shown): void => {
    context.show(view, () => render(view));
  };
  group
    .command('list')
    .description('service accounts that are being asked about')
    .option('--state <state>', 'open, kept, restored, removed, gone, left-disabled or all')
    .action(async (flags: { state?: string }) => {
      const query = flags.state === undefined ? '' : `?state=${encodeURIComponent(flags.state)}`;
      const items = await context.api.list<Listed>(`/v1/service-accounts${query}`, MAX);
      context.show(items, () =>
        table(
          ['Application', 'Login', 'State', 'Phase', 'Waits for', 'Until', 'Id'],
          items.map((one) => [
            one.application,
            one.login,
            one.state,
            one.phase,
            one.waitsFor,
            instant(one.until),
            one.serviceAccountId,
          ]),
        ),
      );
    });
  group
    .command('show <id>')
    .description('one of them, with what each owner said')
    .action(async (id: string) => {
      show(await context.api.get<Shown>(pathOf(id)));
    });
  group
    .command('declare <application> <login>')
    .description('asks the owners of an account whether it may be removed')
    .option('--owner <who...>', 'people who own it')
    .option('--purpose <text>', 'what it is for')
    .action(async (application: string, login: string, flags: { owner?: string[]; purpose?: string }) => {
      const { owner, ...rest } = flags;
      const body = { application, login, owners: await peopleOf(context, owner), ...rest };
      show(await context.api.post<Shown>('/v1/service-accounts', body));
    });
  group
    .command('owners <id>')
    .description('sets who owns it; without --owner nobody does')
    .option('--owner <who...>', 'people who own it')
    .action(async (id: string, flags: { owner?: string[] }) => {
      show(await context.api.put<Shown>(pathOf(id, '/owners'), { owners: await peopleOf(context, flags.owner) }));
    });
  group
    .command('scream <id>')
    .description('it is missed: it is opened again exactly as it was')
    .requiredOption('--reason <text>', 'what does not work without it')
    .action(async (id: string, flags: { reason: string }) => {
      show(await context.api.post<Shown>(pathOf(id, '/scream'), flags));
    });
  group
    .command('review <id>')
    .description('asks the owners of one that was kept or restored anew')
    .action(async (id: string) => {
      show(await context.api.post<Shown>(pathOf(id, '/review'), {}));
    });
}

async function peopleOf(context: CliContext, who: readonly string[] = []): Promise<readonly string[]> {
  const found: string[] = [];
  for (const one of who) found.push(await findPerson(context, one));
  return found;
}

function render(view: Shown): string {
  const head = fields([
    ['Service account', view.serviceAccountId],
    ['Application', view.application],
    ['Login', view.login],
    ['Purpose', view.purpose],
    ['State', view.state],
    ['Phase', view.phase],
    ['Waits for', view.waitsFor],
    ['Until', view.until === null ? null : instant(view.until)],
  ]);
  const owners = table(
    ['Owner', 'Remove?', 'Confirmed?'],
    view.owners.map((one) => [one.displayName, one.removal, one.confirmation]),
  );
  return `${head}\n\n${owners}`;
}
