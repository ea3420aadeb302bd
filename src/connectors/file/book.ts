import type { MutationResult, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { timeLimit } from '../shared/time-limit.js';
import type { FileConfig, Ready } from './config.js';
import type { Table } from './csv.js';
import type { WriteLock } from './lock.js';
import type { CellChanges } from './records.js';
import type { FileStore } from './store.js';
import { asConnectorError, StoreFailure } from './store.js';

/** What one operation does to one row. */
export interface Change {
  readonly kind: 'create' | 'update' | 'delete';
  readonly key: string;
  readonly cells: CellChanges;
}

export interface Plan {
  /** Undefined: there is nothing to do. */
  readonly change: Change | undefined;
  readonly result: MutationResult;
}

export interface Believed {
  readonly table: Table;
  readonly bytes: Buffer;
  /** When the file was last changed. */
  readonly snapshotAt: string;
}

/** The accounts of one application in files, whichever way changes get there. */
export interface Book {
  /** What the target's file says, whole or not at all: UNAVAILABLE while it is being written. */
  read(operation: string, ctx: OperationContext, store?: FileStore): Promise<Believed>;
  /** Reads, plans and writes, alone. A plan is pure; it may throw ConnectorError. */
  change(operation: string, ctx: OperationContext, plan: (table: Table) => Plan): Promise<MutationResult>;
}

export interface BookContext {
  readonly config: FileConfig;
  readonly store: FileStore;
  readonly lock: WriteLock;
}

/** The state of one change on its way. */
export interface Writing {
  readonly operation: string;
  readonly ctx: OperationContext;
  readonly signal: AbortSignal;
  /** Throws when another writer took the lock over. */
  stillOurs(): Promise<void>;
  /** Awaits the caller's marker; from here on bytes may leave. */
  begin(): Promise<void>;
  /** From here on nobody knows, until an answer comes. */
  commit(): void;
}

/** Runs a change under the lock and inside its time, and says of a failure whether the change may have become real. */
export async function writing<T>(
  { config, lock }: BookContext,
  operation: string,
  ctx: OperationContext,
  work: (state: Writing) => Promise<T>,
): Promise<T> {
  const { signal, remainingMs, end } = timeLimit(ctx, operation, config.requestTimeoutMs);
  let sent = false;
  const state = {
    operation,
    ctx,
    signal,
    begin: async (): Promise<void> => {
      await ctx.sentMarker?.();
      if (signal.aborted) throw new StoreFailure('TIMEOUT', 'given-up');
    },
    commit: (): void => void (sent = true),
  };
  try {
    return await lock.hold(signal, Date.now() + remainingMs, (stillOurs) => work({ ...state, stillOurs }));
  } catch (error) {
    throw asConnectorError(error, operation, sent);
  } finally {
    end();
  }
}

/** Runs reads inside the operation's time. */
export async function reading<T>(
  config: FileConfig,
  operation: string,
  ctx: OperationContext,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, end } = timeLimit(ctx, operation, config.requestTimeoutMs);
  try {
    return await work(signal);
  } catch (error) {
    throw asConnectorError(error, operation, false);
  } finally {
    end();
  }
}

/**
 * The bytes of a file that nobody is writing at this moment: size and time are the same before and after the read and
 * fit the bytes, and what `ready` asks for holds. A file that was replaced meanwhile is looked at again, three times.
 * Throws UNAVAILABLE (not sent) with why: file-missing, done-file-missing, done-file-old, not-quiet, growing.
 */
export async function believe(
  store: FileStore,
  file: string,
  ready: Ready | undefined,
  maxBytes: number,
  operation: string,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly mtimeMs: number }> {
  for (let looks = 0; looks < 3; looks += 1) {
    const before = await store.stat(file, signal);
    if (before === undefined) throw pending(operation, 'file-missing');
    await requireReady(store, before.mtimeMs, ready, operation, signal);
    const bytes = await store.read(file, maxBytes, signal);
    const after = await store.stat(file, signal);
    const same = after?.size === before.size && after.mtimeMs === before.mtimeMs;
    if (same && bytes?.length === before.size) return { bytes, mtimeMs: before.mtimeMs };
  }
  throw pending(operation, 'growing');
}

async function requireReady(
  store: FileStore,
  mtimeMs: number,
  ready: Ready | undefined,
  operation: string,
  signal: AbortSignal,
): Promise<void> {
  if (ready === undefined) return;
  if (ready.doneFile !== undefined) {
    const done = await store.stat(ready.doneFile, signal);
    if (done === undefined) throw pending(operation, 'done-file-missing');
    if (done.mtimeMs < mtimeMs) throw pending(operation, 'done-file-old');
  }
  if (Date.now() - mtimeMs < ready.quietMs) throw pending(operation, 'not-quiet');
}

function pending(operation: string, targetCode: string): ConnectorError {
  return new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode });
}

/** Writes beside the place where it will be, and reads it back: what is not whole is never put in place. */
export async function writeAside(store: FileStore, part: string, bytes: Buffer, signal: AbortSignal): Promise<void> {
  await store.write(part, bytes, signal);
  const back = await store.read(part, bytes.length, signal);
  if (back === undefined || !back.equals(bytes)) throw new StoreFailure('UNAVAILABLE', 'written-wrong');
}

/** Removes what interrupted writers left; a writer that still lives can then not put its part in place any more. */
export async function removeParts(
  store: FileStore,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  const names = (await store.names(folder, signal)) ?? [];
  for (const name of names.filter((one) => one.startsWith(prefix) && one.endsWith('.part'))) {
    await store.remove(folder === '' ? name : `${folder}/${name}`, signal);
  }
}
