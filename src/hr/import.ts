import type { Instant } from '../domain/process/ids.js';
import { differenceOf } from './csv/difference.js';
import type { CellExpression, Mapping } from './csv/mapping.js';
import type { ReadFile } from './csv/read.js';
import type { RowProblem, StatedRow } from './csv/row.js';
import type { KnownEmployment } from './known.js';
import type { Problem } from './problems.js';
import { parseRecord } from './record.js';
import type { HrRecordInput } from './record.js';

/** The server as an import needs it. */
export interface ImportServer {
  known(
    source: string,
    keys: readonly { readonly person: string; readonly employment: string }[],
  ): Promise<readonly (KnownEmployment | null)[]>;
  send(records: readonly HrRecordInput[]): Promise<readonly SentResult[]>;
}
export interface SentResult {
  readonly status: 'accepted' | 'duplicate' | 'superseded' | 'rejected' | 'failed';
  readonly problems?: readonly Problem[];
}

export type RowOutcome = 'accepted' | 'unchanged' | 'rejected' | 'failed' | 'ignored';
export interface RowReport {
  readonly row: number;
  readonly outcome: RowOutcome;
  /** What was sent (or would be): hire, change, end, leave, return, withdraw. */
  readonly records: readonly string[];
  readonly problems: readonly RowProblem[];
  readonly warnings: readonly string[];
}

export interface ImportReport {
  readonly isDryRun: boolean;
  readonly rows: readonly RowReport[];
  readonly counts: Readonly<Record<RowOutcome, number>>;
}

export interface ImportOptions {
  readonly isDryRun: boolean;
  readonly now: Instant;
  /** Rows asked for and sent at a time. */
  readonly batch?: number;
  progress?(done: number, total: number): void;
}

const BATCH = 300;
/** The server takes 1,000 records at a time; a row makes at most a handful. */
const MAX_RECORDS = 1_000;

/**
 * Brings a read file to the server: compares every row with what is known there and sends only what is new. Each row is reported once. A dry run asks and
 * sends nothing. Safe to repeat, also after an interruption: what arrived is known and makes no difference any more.
 */
export async function importFile(
  file: ReadFile,
  mapping: Mapping,
  server: ImportServer,
  options: ImportOptions,
): Promise<ImportReport> {
  const rows: RowReport[] = [
    ...file.rejected.map(({ row, problems }) => report(row, 'rejected', { problems })),
    ...file.ignored.map((row) => report(row, 'ignored')),
    ...file.repeated.map(({ row, of }) => report(row, 'unchanged', { warnings: [`says the same as row ${of}`] })),
  ];
  const batch = options.batch ?? BATCH;
  for (let start = 0; start < file.stated.length; start += batch) {
    const stated = file.stated.slice(start, start + batch);
    rows.push(...(await importBatch(stated, { file, mapping, server, options })));
    options.progress?.(Math.min(start + batch, file.stated.length), file.stated.length);
  }
  rows.sort((a, b) => a.row - b.row);
  const count = (outcome: RowOutcome): number => rows.filter((row) => row.outcome === outcome).length;
  const counts = {
    accepted: count('accepted'),
    unchanged: count('unchanged'),
    rejected: count('rejected'),
    failed: count('failed'),
    ignored: count('ignored'),
  };
  return { isDryRun: options.isDryRun, rows, counts };
}

interface Run {
  readonly file: ReadFile;
  readonly mapping: Mapping;
  readonly server: ImportServer;
  readonly options: ImportOptions;
}
interface Draft {
  readonly row: StatedRow;
  readonly records: readonly HrRecordInput[];
  readonly problems: readonly RowProblem[];
  readonly warnings: readonly string[];
}

async function importBatch(stated: readonly StatedRow[], run: Run): Promise<readonly RowReport[]> {
  const { file, mapping, server, options } = run;
  const known = await server.known(
    mapping.source,
    stated.map(({ person, employment }) => ({ person, employment })),
  );
  const drafts = stated.map((row, index): Draft => {
    const difference = differenceOf(mapping.source, row, known[index] ?? undefined, options.now);
    const own = file.warnings.filter((one) => one.row === row.row).map((one) => one.reason);
    const warnings = difference.warning === undefined ? own : [...own, difference.warning];
    const refused = difference.refused === undefined ? [] : [{ row: row.row, column: '', reason: difference.refused }];
    const invalid = difference.records.flatMap((record) => {
      const parsed = parseRecord(record);
      return parsed.ok ? [] : parsed.problems.map((problem) => rowProblem(run, row.row, problem));
    });
    return { row, records: difference.records, problems: [...refused, ...invalid], warnings };
  });
  const ready = drafts.filter((draft) => draft.problems.length === 0 && draft.records.length > 0);
  const results = options.isDryRun ? undefined : await send(ready, server);
  return drafts.map((draft) => reportOf(draft, results?.get(draft.row.row), run));
}

async function send(drafts: readonly Draft[], server: ImportServer): Promise<Map<number, readonly SentResult[]>> {
  const results = new Map<number, readonly SentResult[]>();
  let waiting: Draft[] = [];
  const flush = async (): Promise<void> => {
    const answers = [...(await server.send(waiting.flatMap((draft) => draft.records)))];
    for (const draft of waiting) results.set(draft.row.row, answers.splice(0, draft.records.length));
    waiting = [];
  };
  for (const draft of drafts) {
    const size = waiting.reduce((sum, one) => sum + one.records.length, draft.records.length);
    if (size > MAX_RECORDS) await flush();
    waiting.push(draft);
  }
  if (waiting.length > 0) await flush();
  return results;
}

function reportOf(draft: Draft, results: readonly SentResult[] | undefined, run: Run): RowReport {
  const { row, records, warnings } = draft;
  const kinds = records.map((record) => record.kind);
  const refused = (results ?? []).flatMap((result) => (result.status === 'rejected' ? (result.problems ?? []) : []));
  const problems = [...draft.problems, ...refused.map((problem) => rowProblem(run, row.row, problem))];
  if (problems.length > 0) return report(row.row, 'rejected', { records: kinds, problems, warnings });
  if (results?.some((result) => result.status === 'failed') === true)
    return report(row.row, 'failed', { records: kinds, warnings });
  const isNew = results === undefined ? records.length > 0 : results.some((result) => result.status === 'accepted');
  return report(row.row, isNew ? 'accepted' : 'unchanged', { records: kinds, warnings });
}

function report(row: number, outcome: RowOutcome, more: Partial<Omit<RowReport, 'row' | 'outcome'>> = {}): RowReport {
  return { row, outcome, records: [], problems: [], warnings: [], ...more };
}

/** A problem of the record, told in the file's words: its column instead of our field. */
function rowProblem({ mapping, file }: Run, row: number, problem: Problem): RowProblem {
  const alias = expressionBehind(mapping, problem.path)?.reads[0];
  const column = alias === undefined ? '' : file.headerOf(alias);
  const field = column === '' && problem.path !== '' ? `${problem.path}: ` : '';
  return { row, column, reason: `${field}${problem.message}; expected ${problem.expected}` };
}

function expressionBehind(mapping: Mapping, path: string): CellExpression | undefined {
  if (path.startsWith('attributes.')) {
    const name = path.slice('attributes.'.length);
    return mapping.attributes[name] ?? (/^(given|family)Name$/.test(name) ? mapping.name?.from : undefined);
  }
  switch (path) {
    case 'person':
      return mapping.person;
    case 'employment':
      return mapping.employment;
    case 'manager':
      return mapping.manager;
    case 'worker':
      return mapping.worker;
    case 'zone':
      return mapping.zone.from;
    case 'startOn':
    case 'endOn':
    case 'lastWorkingDay':
    case 'noticeOn':
      return mapping.dates[path];
    default:
      return undefined;
  }
}
