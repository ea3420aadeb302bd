import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { followCut, renderProgress } from './cut-progress.js';
import { CliError, EXIT } from './exit.js';
import { fields, instant, table } from './output.js';

interface Flags {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly wait: boolean;
}
interface Answer {
  readonly cutId?: string;
  readonly state: string;
  readonly size: number;
  readonly needsConfirmation: boolean;
  readonly expiresAt?: string;
  readonly results: readonly { readonly index: number; readonly status: string; readonly identityId?: string }[];
}
interface Batch {
  readonly cutId: string;
  readonly state: string;
  readonly size: number;
  readonly proposedBy: string;
  readonly proposedAt: string;
  readonly expiresAt: string | null;
  readonly confirmedBy: string | null;
  readonly people?: readonly {
    readonly identityId: string;
    readonly displayName: string | null;
    readonly state?: string;
    readonly tier1?: number;
    readonly tier1Proven?: number;
    readonly open?: number;
  }[];
}

/** `cut` for one person or a file of them, `cuts` and `cuts confirm` for what waits for a second person. */
export function addCutCommands(program: Command, context: CliContext): void {
  program
    .command('cut [who]')
    .description('ends every employment at once: all access is cut before anything else')
    .option('--file <file>', 'many people: one a line, or CSV with a header whose first column names them')
    .option('--dry-run', 'with --file: say whom it would cut')
    .option('--reason <text>', 'kept with the audit record; needed with --file')
    .option('--yes', 'do not ask for the confirmation')
    .option('--no-wait', 'do not follow it')
    .action((who: string | undefined, flags: Flags) => {
      if ((who === undefined) === (flags.file === undefined))
        throw new CliError(EXIT.usage, 'Name one person, or give --file.');
      return who === undefined ? cutFile(context, flags.file ?? '', flags) : cutOne(context, who, flags);
    });
  const cuts = program
    .command('cuts')
    .description('cuts of many people, newest first')
    .action(async () => {
      const items = await context.api.list<Batch>('/v1/cuts', 200);
      context.show(items, () =>
        table(
          ['Id', 'State', 'People', 'Proposed by', 'At', 'Confirmed by', 'Expires'],
          items.map((one) => [
            one.cutId,
            one.state,
            one.size,
            one.proposedBy,
            instant(one.proposedAt),
            one.confirmedBy,
            one.state === 'proposed' ? instant(one.expiresAt) : '',
          ]),
        ),
      );
    });
  cuts
    .command('watch <who>')
    .description('follows the newest cut of a person until it is settled, or until only people can go on')
    .action(async (who: string) => showCut(context, await findPerson(context, who)));
  cuts
    .command('confirm <id>')
    .description('confirms a proposed cut as the second person; it starts at once')
    .option('--yes', 'do not ask for the confirmation')
    .option('--no-wait', 'do not follow it')
    .action(async (id: string, flags: { yes?: boolean; wait: boolean }) => {
      const path = `/v1/cuts/${encodeURIComponent(id)}`;
      if (flags.yes !== true) {
        const batch = await context.api.get<Batch>(path);
        const names = (batch.people ?? []).map((one) => `  ${one.identityId}  ${one.displayName ?? ''}`);
        throw new CliError(EXIT.usage, [`This cuts ${batch.size} people at once:`, ...names, 'Say --yes.'].join('\n'));
      }
      await context.api.post(`${path}/confirmation`, {});
      await follow(context, id, flags.wait);
    });
}

async function cutOne(context: CliContext, who: string, flags: Flags): Promise<void> {
  const id = await findPerson(context, who);
  if (flags.yes !== true) throw new CliError(EXIT.usage, `This cuts all access of ${id} at once. Say --yes to do it.`);
  const body = flags.reason === undefined ? {} : { reason: flags.reason };
  const result = await context.api.post<{ at: string; employments: string[] }>(`/v1/identities/${id}/cut`, body);
  if (!flags.wait) {
    context.show(result, () =>
      fields([
        ['Cut from', instant(result.at)],
        ['Employments', result.employments.length],
        ['Watch it', `tenure person ${id}`],
      ]),
    );
    return;
  }
  await showCut(context, id, result);
}

/** Follows a cut and shows where it ended; `begun` is what is said beside it. */
async function showCut(context: CliContext, identityId: string, begun: object = {}): Promise<void> {
  const progress = await followCut(context, identityId);
  // What is with a person is not cut yet, whatever the others say.
  if (!progress.isSettled) context.exitCode = EXIT.failure;
  context.show({ ...begun, progress }, () => renderProgress(progress));
}

async function cutFile(context: CliContext, file: string, flags: Flags): Promise<void> {
  const people = peopleIn(await textOf(file));
  if (people.length === 0) throw new CliError(EXIT.usage, `${file} names nobody.`);
  const reason = flags.reason ?? (flags.dryRun === true ? 'dry run' : undefined);
  if (reason === undefined) throw new CliError(EXIT.usage, 'Give a --reason.');
  const isReal = flags.dryRun !== true && flags.yes === true;
  const answer = await context.api.post<Answer>('/v1/cuts', { people, reason, dryRun: !isReal });
  const bad = answer.results.filter((one) => one.status !== 'found');
  if (bad.length > 0) context.exitCode = EXIT.failure;
  if (flags.dryRun !== true && flags.yes !== true)
    throw new CliError(EXIT.usage, `This cuts ${answer.size} people at once. Say --yes to do it, or --dry-run.`);
  const render = (): string =>
    [
      table(
        ['Line', 'Named', 'Result', 'Id'],
        answer.results.map((one) => [one.index + 1, people[one.index], one.status, one.identityId]),
      ),
      '',
      answer.state === 'proposed'
        ? `Proposed. Another person confirms it: tenure cuts confirm ${answer.cutId ?? ''} (until ${instant(answer.expiresAt)})`
        : `${answer.size} ${isReal ? 'people are cut' : 'people would be cut'}${answer.needsConfirmation && !isReal ? ', after a second person has confirmed' : ''}.`,
    ].join('\n');
  if (answer.state !== 'running' || answer.cutId === undefined || !flags.wait) return context.show(answer, render);
  if (context.options().json !== true) context.terminal.out(render());
  await follow(context, answer.cutId, true);
}

const LOOK_MS = 1_000;

/** Shows how far a cut of many is until Tier 1 of everybody is proven, or is with a person. */
async function follow(context: CliContext, cutId: string, waits: boolean): Promise<void> {
  for (let shown = ''; ; await delay(LOOK_MS)) {
    const batch = await context.api.get<Batch>(`/v1/cuts/${encodeURIComponent(cutId)}`);
    const people = batch.people ?? [];
    const isCut = (one: (typeof people)[number]): boolean =>
      one.state === 'nothing-to-cut' || ((one.tier1 ?? 0) > 0 && one.tier1 === one.tier1Proven);
    const cut = people.filter(isCut).length;
    const open = people.filter((one) => !isCut(one) && ((one.open ?? 0) > 0 || one.state === 'failed')).length;
    const line = `${cut} of ${people.length} with Tier 1 proven, ${open} with a person`;
    if (line !== shown) context.terminal.err(line);
    shown = line;
    if (waits && cut + open < people.length) continue;
    if (waits && open > 0) context.exitCode = EXIT.failure;
    return context.show(batch, () =>
      table(
        ['Person', 'State', 'Tier 1 proven', 'Asked of people', 'Id'],
        people.map((one) => [
          one.displayName,
          one.state,
          `${one.tier1Proven ?? 0} of ${one.tier1 ?? 0}`,
          one.open,
          one.identityId,
        ]),
      ),
    );
  }
}

const HEADERS = /^(id|identity|identityid|person|user|username|login|mail|email|number|employeenumber)$/;

/** One a line; of CSV the first column, and a first line that only names it is none. */
export function peopleIn(text: string): readonly string[] {
  const cells = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => (line.split(/[,;\t]/)[0] ?? '').trim().replace(/^"(.*)"$/, '$1'))
    .filter((cell) => cell !== '' && !cell.startsWith('#'));
  const isHeader = HEADERS.test((cells[0] ?? '').toLowerCase().replaceAll(/[^a-z]/g, ''));
  return isHeader ? cells.slice(1) : cells;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${file} cannot be read.`);
  }
}
