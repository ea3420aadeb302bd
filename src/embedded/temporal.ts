import { chmod, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { errorText, StackError } from './errors.js';
import { findProcesses, lastLines, markProcess, spawnChild, stopProcess } from './processes.js';
import type { ProcessMark } from './processes.js';

/** Search attributes by name; all values are opaque ids, codes or instants, because they are never encrypted. */
export type SearchAttributes = Readonly<
  Record<string, 'Keyword' | 'KeywordList' | 'Text' | 'Int' | 'Double' | 'Bool' | 'Datetime'>
>;

export interface TemporalOptions {
  /** Path of the temporal program, from findTemporalCli. */
  readonly program: string;
  readonly port: number;
  /** undefined: without the web interface. */
  readonly uiPort: number | undefined;
  readonly logFile: string;
  /** SQLite file that keeps everything; undefined: in memory. */
  readonly databaseFile: string | undefined;
  /** Switches on the server's experimental time skipping (tests and what-if runs only). */
  readonly timeSkipping?: boolean;
  /** Told of the process before it is ready, so that whoever cleans up knows it. */
  readonly onSpawn?: (mark: ProcessMark) => Promise<void>;
}

export interface RunningTemporal {
  readonly mark: ProcessMark;
  readonly address: string;
  /** Settles when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Stops the server and waits for its end, after which its ports and its file are free. Safe to repeat. */
  stop(): Promise<void>;
}

/**
 * Starts a Temporal dev server on 127.0.0.1 and resolves when its services answer. A file that a crash left behind
 * before its tables were made holds nothing yet and is made again.
 * @throws StackError with the log's last lines when it does not come up.
 */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  const files = ['', '-wal', '-shm'].map((suffix) => `${options.databaseFile ?? ''}${suffix}`);
  const isKept = options.databaseFile !== undefined;
  let server = await launch(options);
  if (server === undefined && isKept && /no such table: namespaces/.test(lastLines(options.logFile))) {
    for (const file of files) await rm(file, { force: true });
    server = await launch(options);
  }
  if (server === undefined) throw notStarted(lastLines(options.logFile));
  // Others may be able to walk into the folder (Postgres' user has to).
  if (isKept) for (const file of files) await chmod(file, 0o600).catch(() => undefined);
  return server;
}

async function launch(options: TemporalOptions): Promise<RunningTemporal | undefined> {
  const child = await spawnChild({
    command: options.program,
    args: serverArguments(options),
    logFile: options.logFile,
  });
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      isOver = true;
      resolve();
    });
  });
  const address = `127.0.0.1:${options.port}`;
  const mark = await markProcess(child.pid);
  if (mark !== undefined) await options.onSpawn?.(mark);
  if (mark !== undefined && (await serves(address, () => isOver))) {
    child.unref();
    const stop = async () => {
      // Ours again: this process must not end before it has seen the server's end.
      child.ref();
      await stopTemporal(mark);
    };
    return { mark, address, ended, stop };
  }
  if (mark !== undefined) await stopTemporal(mark);
  return undefined;
}

function notStarted(words: string): StackError {
  if (/no space left|disk is full|SQLITE_FULL/i.test(words)) {
    return new StackError(
      'There is no space left on the disk for Temporal.',
      'Free some space (Tenure needs about 500 MB) or set TENURE_HOME to a folder on another disk.',
    );
  }
  return new StackError('The Temporal server did not start.', `Its last words were:\n${words}`);
}

/** Stops the servers of earlier runs that still work on this file; never another program. Safe to repeat. */
export async function stopTemporalSurvivor(databaseFile: string): Promise<void> {
  const survivors = await findProcesses(
    (line) => line.includes(' server start-dev ') && line.includes(`--db-filename ${databaseFile} `),
  );
  for (const mark of survivors) await stopTemporal(mark);
}

/**
 * Makes sure that the namespace exists (closed workflows kept for `retentionDays`) and knows the search attributes.
 * Resolves when the namespace can be used. Adds only what is missing, so it is safe to repeat and to run twice at once.
 */
export async function ensureNamespace(
  connection: Connection,
  namespace: string,
  attributes: SearchAttributes,
  retentionDays = 30,
): Promise<void> {
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs(retentionDays * 86_400_000),
    });
  } catch (error) {
    if (grpcCode(error) !== grpc.alreadyExists) throw error;
  }
  await untilKnown(() => addSearchAttributes(connection, namespace, attributes));
}

async function addSearchAttributes(
  connection: Connection,
  namespace: string,
  attributes: SearchAttributes,
): Promise<void> {
  const known = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(attributes).filter(([name]) => known.customAttributes[name] === undefined);
  if (missing.length === 0) return;
  const types = proto.temporal.api.enums.v1.IndexedValueType;
  const enumOf = {
    Keyword: types.INDEXED_VALUE_TYPE_KEYWORD,
    KeywordList: types.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    Text: types.INDEXED_VALUE_TYPE_TEXT,
    Int: types.INDEXED_VALUE_TYPE_INT,
    Double: types.INDEXED_VALUE_TYPE_DOUBLE,
    Bool: types.INDEXED_VALUE_TYPE_BOOL,
    Datetime: types.INDEXED_VALUE_TYPE_DATETIME,
  };
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, enumOf[type]])),
    });
  } catch (error) {
    if (grpcCode(error) !== grpc.alreadyExists) throw error;
  }
}

/** A new namespace reaches the server's parts a moment after it was registered. */
async function untilKnown(act: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const mayPass = grpcCode(error) === grpc.notFound || grpcCode(error) === grpc.unavailable;
      if (!mayPass || performance.now() > deadline) throw error;
      await delay(100);
    }
  }
}

function serverArguments(options: TemporalOptions): readonly string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(options.port), '--log-level', 'error'];
  if (options.uiPort === undefined) args.push('--headless');
  else args.push('--ui-port', String(options.uiPort));
  if (options.databaseFile !== undefined) {
    args.push('--db-filename', options.databaseFile);
    args.push('--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal');
  }
  const dynamic = ['frontend.WorkflowPauseEnabled=true', 'matching.enableFairness=true'];
  if (options.timeSkipping === true) dynamic.push('frontend.WorkflowTimeSkippingEnabled=true');
  for (const value of dynamic) args.push('--dynamic-config-value', value);
  return args;
}

async function serves(address: string, isOver: () => boolean): Promise<boolean> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline && !isOver()) {
    let connection: Connection | undefined;
    try {
      connection = await Connection.connect({ address, connectTimeout: 2_000 });
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      return true;
    } catch {
      await delay(100);
    } finally {
      await connection?.close();
    }
  }
  return false;
}

async function stopTemporal(mark: ProcessMark): Promise<void> {
  // A second SIGTERM would end the server in the middle of its own shutdown.
  await stopProcess(mark, ['SIGTERM', 'SIGKILL'], 20_000);
}

const grpc = { notFound: 5, alreadyExists: 6, unavailable: 14 } as const;

function grpcCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'number') return error.code;
  return error.cause === undefined ? undefined : grpcCode(error.cause);
}

/** For messages: why a Temporal call failed, in one line. */
export function temporalFailure(error: unknown): string {
  return errorText(error).split('\n')[0] ?? '';
}
