import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { table } from './output.js';
import { renderPerson, renderPreview, renderTimeline, renderWhy } from './render.js';
import type { PersonView, PreviewView, TimelineView, WhyView } from './render.js';

const MAX = 10_000;

interface ListedPerson {
  readonly identityId: string;
  readonly displayName: string;
  readonly userName: string | null;
  readonly department: string | null;
  readonly lifecycle: string;
}

/** `people`, `person`, `timeline`, `preview`, `why`. Wherever a person is named: id, user name, mail address, employee number or name. */
export function addPeopleCommands(program: Command, context: CliContext): void {
  program
    .command('people [query]')
    .description('people by name, user name, mail address or employee number')
    .option('--limit <n>', 'at most so many', '100')
    .action(async (query: string | undefined, flags: { limit: string }) => {
      const path = query === undefined ? '/v1/identities' : `/v1/identities?query=${encodeURIComponent(query)}`;
      const items = await context.api.list<ListedPerson>(path, countOf(flags.limit));
      context.show(items, () =>
        table(
          ['Name', 'User name', 'Department', 'State', 'Id'],
          items.map((one) => [one.displayName, one.userName, one.department, one.lifecycle, one.identityId]),
        ),
      );
    });
  program
    .command('person <who>')
    .description('state, accounts, entitlements with reasons, processes')
    .action(async (who: string) => {
      const person = await context.api.get<PersonView>(`/v1/identities/${await findPerson(context, who)}`);
      context.show(person, () => renderPerson(person));
    });
  program
    .command('timeline <who>')
    .description('what happened and what is still to come')
    .action(async (who: string) => {
      const items = await context.api.list<TimelineView>(
        `/v1/identities/${await findPerson(context, who)}/timeline`,
        MAX,
      );
      context.show(items, () => renderTimeline(items));
    });
  addQuestions(program, context);
}

function addQuestions(program: Command, context: CliContext): void {
  program
    .command('preview')
    .description('what would be done, with attribute differences; changes nothing')
    .requiredOption('--person <who>', 'whose plan')
    .option('--event <file>', 'JSON: one HR event or several, as if they had been recorded')
    .action(async (flags: { person: string; event?: string }) => {
      const events = flags.event === undefined ? [] : await readEvents(flags.event);
      const id = await findPerson(context, flags.person);
      const preview = await context.api.post<PreviewView>(`/v1/identities/${id}/preview`, { events });
      context.show(preview, () => renderPreview(preview));
    });
  program
    .command('why')
    .description('why a person has, or has not, access to an application')
    .requiredOption('--person <who>', 'who')
    .requiredOption('--application <slug>', 'where')
    .action(async (flags: { person: string; application: string }) => {
      const id = await findPerson(context, flags.person);
      const why = await context.api.post<WhyView>(`/v1/identities/${id}/why`, { application: flags.application });
      context.show(why, () => renderWhy(why));
    });
}

async function readEvents(path: string): Promise<readonly unknown[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read.`);
  }
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? (value as unknown[]) : [value];
  } catch {
    throw new CliError(EXIT.usage, `${path} is not JSON.`);
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MAX)
    throw new CliError(EXIT.usage, `--limit must be a whole number from 1 to ${MAX}.`);
  return count;
}
