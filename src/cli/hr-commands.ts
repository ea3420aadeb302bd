import { readFile, stat, writeFile } from 'node:fs/promises';
import { stringify } from 'csv-stringify/sync';
import type { Command } from 'commander';
import { brand } from '../domain/process/ids.js';
import type { Instant } from '../domain/process/ids.js';
import { CsvFileError } from '../hr/csv/decode.js';
import { MappingError, loadMapping } from '../hr/csv/mapping.js';
import { DEFAULT_LIMITS } from '../hr/csv/parse.js';
import { readHrFile } from '../hr/csv/read.js';
import type { ReadFile } from '../hr/csv/read.js';
import { importFile } from '../hr/import.js';
import type { ImportReport, ImportServer, SentResult } from '../hr/import.js';
import type { KnownEmployment } from '../hr/known.js';
import type { ApiClient } from './client.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { table } from './output.js';

interface ImportFlags {
  readonly mapping: string;
  readonly dryRun?: boolean;
  readonly rejects?: string;
}

/** `tenure hr import`. */
export function addHrCommands(program: Command, context: CliContext): void {
  const hr = program.command('hr').description('HR data');
  hr.command('import <file>')
    .description('imports a CSV export; the same file again changes nothing')
    .requiredOption('--mapping <file>', 'how columns become attributes (YAML)')
    .option('--dry-run', 'tells what would happen per row and sends nothing')
    .option('--rejects <file>', 'where rejected rows are written (default: FILE.rejects.csv)')
    .action(async (file: string, flags: ImportFlags) => {
      const report = await runImport(context, file, flags);
      if (report.counts.rejected + report.counts.failed > 0) context.exitCode = EXIT.failure;
    });
}

async function runImport(context: CliContext, path: string, flags: ImportFlags): Promise<ImportReport> {
  const mapping = await loading(flags.mapping, async () =>
    loadMapping({ path: flags.mapping, text: await readFile(flags.mapping, 'utf8') }),
  );
  const file = await loading(path, async () => {
    // Before it is read into memory.
    if ((await stat(path)).size > DEFAULT_LIMITS.bytes)
      throw new CsvFileError('too-large', `The file is larger than ${DEFAULT_LIMITS.bytes / 1_048_576} MB.`);
    return readHrFile(await readFile(path), mapping);
  });
  const { terminal } = context;
  const report = await importFile(file, mapping, serverOf(context.api), {
    isDryRun: flags.dryRun === true,
    now: brand<Instant>(new Date().toISOString()),
    progress: (done, total) => {
      if (terminal.isInteractive) terminal.err(`${done} of ${total} rows`);
    },
  });
  const rejects = flags.rejects ?? (flags.dryRun === true ? undefined : `${path}.rejects.csv`);
  const written = rejects === undefined ? undefined : await writeRejects(rejects, file, report);
  context.show({ ...report, rejectsFile: written ?? null }, () => renderReport(report, written));
  return report;
}

/** Files that cannot be read, mappings and exports that cannot be used: the caller's to mend. */
async function loading<T>(path: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof MappingError) throw new CliError(EXIT.usage, error.message);
    if (error instanceof CsvFileError)
      throw new CliError(EXIT.usage, `${path}: ${error.message} Nothing was imported.`);
    const { code } = error as { readonly code?: unknown };
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR')
      throw new CliError(EXIT.usage, `${path} cannot be read (${String(code)}).`);
    throw error;
  }
}

function serverOf(api: ApiClient): ImportServer {
  const send = async (records: readonly unknown[]): Promise<readonly SentResult[]> =>
    (await api.post<{ results: SentResult[] }>('/v1/hr/events', records)).results;
  return {
    known: async (source, keys) =>
      (await api.post<{ items: (KnownEmployment | null)[] }>('/v1/hr/known', { source, keys })).items,
    async send(records) {
      const results = await send(records);
      const again = results.flatMap((result, index) => (result.status === 'failed' ? [index] : []));
      if (again.length === 0) return results;
      const repeated = await send(again.map((index) => records[index]));
      return results.map((result, index) => repeated[again.indexOf(index)] ?? result);
    },
  };
}

/** Rejected rows with their reasons, readable by spreadsheets and, once mended, by the import again. Personal data: for the owner only. */
async function writeRejects(path: string, file: ReadFile, report: ImportReport): Promise<string | undefined> {
  const rejected = report.rows.filter((row) => row.outcome === 'rejected' || row.outcome === 'failed');
  if (rejected.length === 0) return undefined;
  const lines = rejected.map(({ row, problems }) => {
    const cells = [...file.cellsOf(row)];
    while (cells.length < file.header.length) cells.push('');
    const reason = problems.map((one) => (one.column === '' ? one.reason : `${one.column}: ${one.reason}`)).join('; ');
    return [...cells, String(row), reason === '' ? 'could not be recorded; send it again' : reason];
  });
  const text = stringify([[...file.header, 'Rejected row', 'Rejected because'], ...lines], {
    delimiter: file.delimiter,
    record_delimiter: '\r\n',
    bom: true,
  });
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

function renderReport(report: ImportReport, rejects: string | undefined): string {
  const { counts, isDryRun, rows } = report;
  const lines: string[] = [];
  const happening = rows.filter((row) => row.outcome === 'accepted');
  if (isDryRun && happening.length > 0)
    lines.push(
      table(
        ['Row', 'Would be sent'],
        happening.map((row) => [row.row, row.records.join(', ')]),
      ),
      '',
    );
  const warned = rows.filter((row) => row.warnings.length > 0 && row.outcome !== 'rejected');
  if (warned.length > 0)
    lines.push(
      table(
        ['Row', 'Worth a look'],
        warned.map((row) => [row.row, row.warnings.join('; ')]),
      ),
      '',
    );
  const problems = rows.flatMap((row) => row.problems);
  if (problems.length > 0)
    lines.push(
      table(
        ['Row', 'Column', 'Rejected because'],
        problems.map((one) => [one.row, one.column, one.reason]),
      ),
      '',
    );
  const words = [
    `${counts.accepted} ${isDryRun ? 'would be accepted' : 'accepted'}`,
    `${counts.unchanged} unchanged`,
    `${counts.rejected} rejected`,
    ...(counts.failed > 0 ? [`${counts.failed} could not be recorded: import the file again`] : []),
    ...(counts.ignored > 0 ? [`${counts.ignored} left out by status`] : []),
  ];
  lines.push(`${words.join(', ')}.`);
  if (rejects !== undefined) lines.push(`Rejected rows are in ${rejects}.`);
  return lines.join('\n');
}
