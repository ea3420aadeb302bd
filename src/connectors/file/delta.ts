import type { MutationResult } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Believed, Book, BookContext, Change, Plan, Writing } from './book.js';
import { believe, reading, removeParts, writeAside, writing } from './book.js';
import type { DeltaMode } from './config.js';
import { configuredColumns } from './config.js';
import type { Row, Table } from './csv.js';
import { formatTable, parseTable } from './csv.js';
import { changedRow } from './records.js';
import type { FileStore } from './store.js';

/** `<sequence>-<key>.csv`; the key is percent-encoded. */
const changeName = /^(\d{15})-(.+)\.csv$/;

/**
 * Each change is a file of its own that the target takes in; what it made of them is in the file that it exports. Reads
 * show the export. Writes plan on the export with the changes that are still waiting, so that none undoes another.
 */
export function deltaBook(context: BookContext, mode: DeltaMode): Book {
  const { config } = context;
  return {
    read: (operation, ctx, store = context.store) =>
      reading(config, operation, ctx, (signal) => loadExport(context, mode, store, operation, signal)),
    change: (operation, ctx, plan) =>
      writing(context, operation, ctx, (state) => addChange(context, mode, state, plan)),
  };
}

async function loadExport(
  { config }: BookContext,
  mode: DeltaMode,
  store: FileStore,
  operation: string,
  signal: AbortSignal,
): Promise<Believed> {
  const { bytes, mtimeMs } = await believe(store, mode.export, mode.ready, config.maxBytes, operation, signal);
  const shape = { keyColumn: config.accounts.key, columns: configuredColumns(config), format: config.format };
  return { table: parseTable(bytes, shape, operation), bytes, snapshotAt: new Date(mtimeMs).toISOString() };
}

async function addChange(
  context: BookContext,
  mode: DeltaMode,
  state: Writing,
  plan: (table: Table) => Plan,
): Promise<MutationResult> {
  const { store } = context;
  const { operation, signal } = state;
  await removeParts(store, mode.changes, '', signal);
  const names = await store.names(mode.changes, signal);
  if (names === undefined) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'folder-missing' });
  }
  // The waiting ones first: one that the target takes away meanwhile is in the export that is read after it.
  const waiting = await waitingChanges(context, mode, names, state);
  const { table } = await loadExport(context, mode, store, operation, signal);
  const { change, result } = plan(waiting.reduce((current, one) => overlay(current, one, mode), table));
  if (change === undefined) {
    return result;
  }
  const bytes = changeFile(context, mode, change, operation);
  await state.begin();
  await removeAbandoned(store, mode, names, change.key, signal);
  const file = `${mode.changes}/${nextSequence(names)}-${encodeKey(change.key)}.csv`;
  await writeAside(store, `${file}.part`, bytes, signal);
  await state.stillOurs();
  if (mode.doneSuffix === 'none') {
    state.commit();
    await store.replace(`${file}.part`, file, signal);
    return result;
  }
  const done = `${file}${mode.doneSuffix}`;
  await store.write(`${done}.part`, Buffer.from('\n'), signal);
  await store.replace(`${file}.part`, file, signal);
  state.commit();
  await store.replace(`${done}.part`, done, signal);
  return result;
}

/** Grows also when the target has taken every file away. */
function nextSequence(names: readonly string[]): string {
  const last = Math.max(0, ...names.map((name) => Number(changeName.exec(name)?.[1] ?? 0)));
  return String(Math.max(last + 1, Date.now())).padStart(15, '0');
}

function encodeKey(key: string): string {
  return encodeURIComponent(key).replace(/[.!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A file without its done file was never finished, and is read by nobody. */
async function removeAbandoned(
  store: FileStore,
  mode: DeltaMode,
  names: readonly string[],
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if (mode.doneSuffix === 'none') return;
  const own = names.filter((name) => changeName.exec(name)?.[2] === encodeKey(key));
  for (const name of own.filter((one) => !names.includes(`${one}${mode.doneSuffix}`))) {
    await store.remove(`${mode.changes}/${name}`, signal);
  }
}

async function waitingChanges(
  { config, store }: BookContext,
  mode: DeltaMode,
  names: readonly string[],
  { operation, signal }: Writing,
): Promise<readonly Table[]> {
  const finished = names.filter(
    (name) => changeName.test(name) && (mode.doneSuffix === 'none' || names.includes(`${name}${mode.doneSuffix}`)),
  );
  const columns = [mode.operationColumn, ...configuredColumns(config)];
  const shape = { keyColumn: config.accounts.key, columns, format: config.format };
  const tables: Table[] = [];
  for (const name of finished.sort()) {
    const bytes = await store.read(`${mode.changes}/${name}`, config.maxBytes, signal);
    if (bytes !== undefined) tables.push(parseTable(bytes, shape, operation));
  }
  return tables;
}

/** The table as the target will have it when it has taken the change in. */
function overlay(table: Table, change: Table, mode: DeltaMode): Table {
  let { rows } = table;
  for (const { key, cells } of change.rows) {
    const others = rows.filter((row) => row.key !== key);
    if (cells[change.header.indexOf(mode.operationColumn)] === mode.operations.delete) {
      rows = others;
      continue;
    }
    const known = change.header
      .map((column, index) => [column, cells[index] ?? ''] as const)
      .filter(([, cell]) => cell !== mode.unchanged)
      .map(([column, cell]) => [column, cell === mode.cleared ? '' : cell] as const);
    const before = rows.find((row) => row.key === key);
    rows = [...others, changedRow(table.header, key, before, new Map(known))];
  }
  return { ...table, rows };
}

function changeFile({ config }: BookContext, mode: DeltaMode, change: Change, operation: string): Buffer {
  const columns = configuredColumns(config);
  const cells = columns.map((column) => {
    if (column === config.accounts.key) return change.key;
    const cell = change.cells.get(column);
    return cell === undefined ? mode.unchanged : changedCell(cell, column, mode, change, operation);
  });
  const row: Row = { key: change.key, cells: [mode.operations[change.kind], ...cells] };
  const hasMark = config.format.encoding === 'utf-8-bom';
  return formatTable({ header: [mode.operationColumn, ...columns], hasMark, rows: [row] }, config.format, operation);
}

/** The two words must not be values: they would say something else. */
function changedCell(cell: string, column: string, mode: DeltaMode, change: Change, operation: string): string {
  if (cell === '') {
    return change.kind === 'create' ? mode.unchanged : mode.cleared;
  }
  if (cell === mode.cleared || cell === mode.unchanged) {
    throw new ConnectorError({
      code: 'INVALID',
      operation,
      sent: false,
      attribute: column,
      targetCode: 'reserved-word',
    });
  }
  return cell;
}
