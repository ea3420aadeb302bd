import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, instant, table } from './output.js';

interface PlanFlags {
  readonly from: string;
  readonly to: string;
  readonly file?: string;
  readonly where?: string;
  readonly waveSize?: string;
  readonly percentages?: string;
  readonly cutOverOn?: string;
  readonly joiners?: string;
  readonly failurePercent?: string;
  readonly atOnce?: string;
  readonly patience?: string;
  readonly dryRun?: boolean;
}
interface PlanAnswer {
  readonly migrationId?: string;
  readonly state: string;
  readonly size: number;
  readonly needsConfirmation: boolean;
  readonly waves: readonly { readonly wave: number; readonly size: number }[];
  readonly leftOut: readonly { readonly index?: number; readonly identityId?: string; readonly why: string }[];
}
interface Wave {
  readonly wave: number;
  readonly size: number;
  readonly state: string;
  readonly cutOverOn: string | null;
  readonly cutOverAt: string | null;
  readonly planned: number;
  readonly underWay: number;
  readonly coexisting: number;
  readonly cuttingOver: number;
  readonly retired: number;
  readonly rollingBack: number;
  readonly rolledBack: number;
  readonly differing: number;
  readonly left: number;
  readonly failed: number;
  readonly codes: Readonly<Record<string, number>>;
}
interface Migration {
  readonly migrationId: string;
  readonly state: string;
  readonly from: string;
  readonly to: string;
  readonly size: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly waves?: readonly Wave[];
}

const POLL_MS = 1_000;

/** `migration plan|confirm|start|status|cut-over|rollback|close|list`: people move from one application to another in waves. */
export function addMigrationCommands(program: Command, context: CliContext): void {
  const migration = program
    .command('migration')
    .description('moves people from one application to another, in waves, with both accounts side by side for a time');
  addPlan(migration, context);
  migration
    .command('list')
    .description('migrations, newest first')
    .action(async () => {
      const items = await context.api.list<Migration>('/v1/migrations', 200);
      context.show(items, () =>
        table(
          ['Migration', 'From', 'To', 'People', 'State', 'By', 'Since'],
          items.map((one) => [
            one.migrationId,
            one.from,
            one.to,
            String(one.size),
            one.state,
            one.createdBy,
            instant(one.createdAt),
          ]),
        ),
      );
    });
  migration
    .command('status <migration>')
    .description('how far each wave is')
    .option('--failed', 'the people whose move failed')
    .action(async (id: string, flags: { failed?: boolean }) => {
      if (flags.failed === true) return showFailed(context, id);
      const view = await context.api.get<Migration>(pathOf(id));
      context.show(view, () => render(view));
    });
  for (const [name, what] of [
    ['confirm', 'confirms a plan that somebody else has made'],
    ['close', 'ends a migration; policy alone says what is wanted then'],
  ] as const)
    migration
      .command(`${name} <migration>`)
      .description(what)
      .action(async (id: string) => {
        const path = name === 'confirm' ? 'confirmation' : 'close';
        const view = await context.api.post<Migration>(`${pathOf(id)}/${path}`, {});
        context.show(view, () => render(view));
      });
  addOrder(migration, context, {
    name: 'start',
    what: 'starts a wave, or takes it up again',
    order: 'start',
    isOver: ({ planned, underWay }) => planned + underWay === 0,
  });
  addOrder(migration, context, {
    name: 'cut-over',
    what: 'closes the old accounts of a wave, each where the new one stands',
    order: 'cut-over',
    isOver: ({ coexisting, cuttingOver }) => coexisting + cuttingOver === 0,
  });
  addOrder(migration, context, {
    name: 'rollback',
    what: 'undoes a wave: both accounts of everybody as they were',
    order: 'roll-back',
    isOver: ({ rollingBack }) => rollingBack === 0,
  });
}

function addPlan(migration: Command, context: CliContext): void {
  migration
    .command('plan')
    .description('plans who moves in which wave; nothing happens before a wave is started')
    .requiredOption('--from <application>', 'where they have their accounts')
    .requiredOption('--to <application>', 'where they will have them')
    .option('--where <expression>', 'who: CEL over person and employment')
    .option('--file <file>', 'who: one person a line')
    .option('--wave-size <people>', 'how many people a wave takes')
    .option('--percentages <list>', 'or cumulative shares, for instance 5,25,100')
    .option('--cut-over-on <date>', 'when old accounts are closed: midnight of each person')
    .option('--joiners <from|to>', 'where joiners belong (default: to)')
    .option('--failure-percent <percent>', 'a wave halts when more of its moves fail (default: 10)')
    .option('--at-once <moves>', 'how many moves are under way together (default: 20)')
    .option('--patience <seconds>', 'a step that is not through by then has failed (default: 1800)')
    .option('--dry-run', 'say what the plan would be')
    .action(async (flags: PlanFlags) => {
      const answer = await context.api.post<PlanAnswer>('/v1/migrations', await planBody(flags));
      context.show(answer, () => renderPlan(answer));
      if (answer.size === 0) context.exitCode = EXIT.failure;
    });
}

async function planBody(flags: PlanFlags): Promise<object> {
  if ((flags.file === undefined) === (flags.where === undefined))
    throw new CliError(EXIT.usage, 'Say who moves: give --where or --file.');
  const given = {
    people: flags.file === undefined ? undefined : await peopleOf(flags.file),
    expression: flags.where,
    waveSize: numberOf('--wave-size', flags.waveSize),
    percentages: flags.percentages?.split(',').map((one) => numberOf('--percentages', one)),
    cutOverOn: flags.cutOverOn,
    joiners: flags.joiners,
    failurePercent: numberOf('--failure-percent', flags.failurePercent),
    atOnce: numberOf('--at-once', flags.atOnce),
    patienceSeconds: numberOf('--patience', flags.patience),
  };
  return {
    from: flags.from,
    to: flags.to,
    dryRun: flags.dryRun ?? false,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
}

async function peopleOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new CliError(EXIT.usage, `${file} cannot be read.`);
  });
  return text.split(/\r?\n/).flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text.trim())) throw new CliError(EXIT.usage, `${option} takes whole numbers.`);
  return Number(text);
}

interface WaveOrder {
  readonly name: string;
  readonly what: string;
  readonly order: string;
  readonly isOver: (wave: Wave) => boolean;
}

function addOrder(migration: Command, context: CliContext, { name, what, order, isOver }: WaveOrder): void {
  const command = migration
    .command(`${name} <migration> <wave>`)
    .description(what)
    .option('--no-wait', 'do not follow it');
  if (order === 'cut-over') command.option('--on <date>', 'at midnight of each person instead of now');
  command.action(async (id: string, number: string, flags: { wait: boolean; on?: string }) => {
    const body = flags.on === undefined ? {} : { on: flags.on };
    const answer = await context.api.post<object>(`${pathOf(id)}/waves/${encodeURIComponent(number)}/${order}`, body);
    // A date may be far away.
    if (!flags.wait || flags.on !== undefined) {
      context.show(answer, () => `Ordered. See tenure migration status ${id}`);
      return;
    }
    const wave = await follow(context, id, Number(number), isOver);
    context.show(wave, () => renderWaves([wave]));
    if (wave.failed + wave.differing > 0) context.exitCode = EXIT.failure;
  });
}

/** Shows each change until the wave is through, or halted and nothing of it is under way. */
async function follow(context: CliContext, id: string, number: number, isOver: (wave: Wave) => boolean): Promise<Wave> {
  for (let shown = ''; ; await delay(POLL_MS)) {
    const { waves = [] } = await context.api.get<Migration>(pathOf(id));
    const wave = waves.find((one) => one.wave === number);
    if (wave === undefined) throw new CliError(EXIT.notFound, 'There is no such wave.');
    const line = progressOf(wave);
    if (line !== shown) context.terminal.err(line);
    shown = line;
    const isStuck = wave.state === 'halted' && wave.underWay + wave.cuttingOver === 0;
    if (isOver(wave) || isStuck) return wave;
  }
}

function progressOf(wave: Wave): string {
  const parts = [
    ['planned', wave.planned],
    ['under way', wave.underWay],
    ['side by side', wave.coexisting],
    ['cutting over', wave.cuttingOver],
    ['moved', wave.retired],
    ['rolling back', wave.rollingBack],
    ['rolled back', wave.rolledBack],
    ['left', wave.left],
    ['failed', wave.failed],
  ] as const;
  const told = parts.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`);
  return `wave ${wave.wave} (${wave.state}): ${told.join(', ')}`;
}

function renderPlan(answer: PlanAnswer): string {
  const why = new Map<string, number>();
  for (const one of answer.leftOut) why.set(one.why, (why.get(one.why) ?? 0) + 1);
  return fields([
    ['Migration', answer.migrationId ?? 'nothing was written'],
    ['State', answer.needsConfirmation ? `${answer.state}; another principal has to confirm` : answer.state],
    ['People', String(answer.size)],
    ['Waves', answer.waves.map((one) => String(one.size)).join(', ')],
    ['Left out', [...why].map(([reason, count]) => `${count} ${reason}`).join(', ') || null],
  ]);
}

function render(view: Migration): string {
  return [
    fields([
      ['Migration', view.migrationId],
      ['From', view.from],
      ['To', view.to],
      ['People', String(view.size)],
      ['State', view.state],
    ]),
    '',
    renderWaves(view.waves ?? []),
  ].join('\n');
}

function renderWaves(waves: readonly Wave[]): string {
  const number = (count: number): string => (count === 0 ? '' : String(count));
  return table(
    [
      'Wave',
      'State',
      'People',
      'Planned',
      'Under way',
      'Side by side',
      'Moved',
      'Rolled back',
      'Left',
      'Failed',
      'Cut-over',
      'Codes',
    ],
    waves.map((one) => [
      String(one.wave),
      one.state,
      String(one.size),
      number(one.planned),
      number(one.underWay + one.cuttingOver + one.rollingBack),
      number(one.coexisting),
      number(one.retired),
      one.differing === 0 ? number(one.rolledBack) : `${one.rolledBack} (${one.differing} differ)`,
      number(one.left),
      number(one.failed),
      one.cutOverAt === null ? one.cutOverOn : instant(one.cutOverAt),
      Object.entries(one.codes)
        .map(([code, count]) => `${count} ${code}`)
        .join(', '),
    ]),
  );
}

async function showFailed(context: CliContext, id: string): Promise<void> {
  interface Failed {
    readonly identityId: string;
    readonly displayName: string | null;
    readonly wave: number;
    readonly failedStep: string;
    readonly code: string;
  }
  const failed = await context.api.list<Failed>(`${pathOf(id)}/moves?failed=true`, 10_000);
  context.show(failed, () =>
    table(
      ['Person', 'Name', 'Wave', 'Step', 'Code'],
      failed.map((one) => [one.identityId, one.displayName, String(one.wave), one.failedStep, one.code]),
    ),
  );
}

function pathOf(id: string): string {
  return `/v1/migrations/${encodeURIComponent(id)}`;
}
