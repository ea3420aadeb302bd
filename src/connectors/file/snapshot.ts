import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import type { MutationResult } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Believed, Book, BookContext, Change, Plan, Writing } from './book.js';
import { believe, reading, removeParts, writeAside, writing } from './book.js';
import type { SnapshotMode } from './config.js';
import { configuredColumns } from './config.js';
import type { Row, Table } from './csv.js';
import { formatTable, parseTable } from './csv.js';
import { changedRow } from './records.js';
import type { FileStore } from './store.js';
import { StoreFailure } from './store.js';

/**
 * One file holds all accounts; each change replaces it in one step. Until that step nothing has changed, after it the
 * new file is whole. A done file is written after it; `FILE.intent` says that it still has to be, so that the next write
 * makes up for an interrupted one.
 */
export function snapshotBook(context: BookContext, mode: SnapshotMode): Book {
  const { config } = context;
  return {
    read: (operation, ctx, store = context.store) =>
      reading(config, operation, ctx, (signal) => load(context, mode, store, operation, signal)),
    change: (operation, ctx, plan) =>
      writing(context, operation, ctx, (state) => replaceWith(context, mode, state, plan)),
  };
}

async function load(
  { config }: BookContext,
  mode: SnapshotMode,
  store: FileStore,
  operation: string,
  signal: AbortSignal,
): Promise<Believed> {
  const { bytes, mtimeMs } = await believe(store, mode.file, mode.ready, config.maxBytes, operation, signal);
  const shape = { keyColumn: config.accounts.key, columns: configuredColumns(config), format: config.format };
  return { table: parseTable(bytes, shape, operation), bytes, snapshotAt: new Date(mtimeMs).toISOString() };
}

async function replaceWith(
  context: BookContext,
  mode: SnapshotMode,
  state: Writing,
  plan: (table: Table) => Plan,
): Promise<MutationResult> {
  const { config, store } = context;
  const { operation, signal } = state;
  const folder = posix.dirname(mode.file);
  await removeParts(store, folder === '.' ? '' : folder, `${posix.basename(mode.file)}.`, signal);
  await finishInterrupted(store, mode, state);
  const { table, bytes: before } = await load(context, mode, store, operation, signal);
  const { change, result } = plan(table);
  if (change === undefined) {
    return result;
  }
  const hasMark = table.hasMark || config.format.encoding === 'utf-8-bom';
  const bytes = formatTable(
    { header: table.header, hasMark, rows: rowsAfter(table, change) },
    config.format,
    operation,
  );
  await state.begin();
  const part = `${mode.file}.${randomUUID()}.part`;
  await writeAside(store, part, bytes, signal);
  if (mode.doneFile !== undefined) {
    await store.createExclusive(intentOf(mode), Buffer.from('\n'), signal);
  }
  await requireUnchanged(context, mode, before, state);
  state.commit();
  await store.replace(part, mode.file, signal);
  await finishDone(store, mode, signal, result);
  return result;
}

/** Somebody who does not know the lock may have written: his change must not be lost. */
async function requireUnchanged(
  { config, store }: BookContext,
  mode: SnapshotMode,
  before: Buffer,
  state: Writing,
): Promise<void> {
  const bytes = await store.read(mode.file, config.maxBytes, state.signal);
  if (bytes?.equals(before) !== true) {
    const { operation } = state;
    throw new ConnectorError({ code: 'CONFLICT', operation, sent: false, targetCode: 'file-changed' });
  }
  await state.stillOurs();
}

function intentOf(mode: SnapshotMode): string {
  return `${mode.file}.intent`;
}

/** The file is whole, old or new; whether the target was told is not known: it is told (again). */
async function finishInterrupted(store: FileStore, mode: SnapshotMode, state: Writing): Promise<void> {
  if (mode.doneFile !== undefined && (await store.stat(intentOf(mode), state.signal)) !== undefined) {
    await state.begin();
    await writeDone(store, mode.doneFile, intentOf(mode), state.signal);
  }
}

async function finishDone(
  store: FileStore,
  mode: SnapshotMode,
  signal: AbortSignal,
  { ref }: MutationResult,
): Promise<void> {
  if (mode.doneFile === undefined) {
    return;
  }
  try {
    await writeDone(store, mode.doneFile, intentOf(mode), signal);
  } catch (error) {
    if (error instanceof StoreFailure && error.code === 'FORBIDDEN') {
      // The account is changed, and the target has not been told.
      throw new ConnectorError({ code: 'PARTIAL', operation: 'done-file', sent: true, ref });
    }
    throw error;
  }
}

async function writeDone(store: FileStore, done: string, intent: string, signal: AbortSignal): Promise<void> {
  const part = `${done}.${randomUUID()}.part`;
  await store.write(part, Buffer.from('\n'), signal);
  await store.replace(part, done, signal);
  await store.remove(intent, signal);
}

function rowsAfter(table: Table, change: Change): readonly Row[] {
  switch (change.kind) {
    case 'create':
      return [...table.rows, changedRow(table.header, change.key, undefined, change.cells)];
    case 'update':
      return table.rows.map((row) =>
        row.key === change.key ? changedRow(table.header, row.key, row, change.cells) : row,
      );
    case 'delete':
      return table.rows.filter((row) => row.key !== change.key);
  }
}
