import type { ConnectorErrorCode } from '../errors.js';
import { ConnectorError } from '../errors.js';

/** Size and time of the last change, as the place itself says. */
export interface FileStat {
  readonly size: number;
  readonly mtimeMs: number;
}

/**
 * A folder, here or at a server. All names are relative to it. Every call ends with the signal, and fails with
 * StoreFailure only. A call that was given up may still be carried out by the place.
 */
export interface FileStore {
  /** How it was read, for a verification. */
  readonly road: string;
  /** Undefined: there is no such file. */
  stat(name: string, signal: AbortSignal): Promise<FileStat | undefined>;
  /** The bytes; refuses more than `maxBytes`. Undefined: there is no such file. */
  read(name: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** False: there is one already, and it was left alone. */
  createExclusive(name: string, bytes: Buffer, signal: AbortSignal): Promise<boolean>;
  /** Writes a new file and brings it onto the disk, where the place can do that. Never to a name that somebody reads. */
  write(name: string, bytes: Buffer, signal: AbortSignal): Promise<void>;
  /** One atomic step: readers see the old or the new file. Refuses a place that cannot do it. */
  replace(from: string, to: string, signal: AbortSignal): Promise<void>;
  /** No error when it is gone already. */
  remove(name: string, signal: AbortSignal): Promise<void>;
  /** Plain names inside a folder ('' = the root). Undefined: there is no such folder. */
  names(folder: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** What is wrong with the place itself, as codes; read-only. */
  weaknesses(signal: AbortSignal): Promise<readonly string[]>;
  /** A store of its own connection, for a verification. */
  another(): FileStore;
  close(): Promise<void>;
}

/** What went wrong at the place. Holds codes only, never a name or a text of the server. */
export class StoreFailure extends Error {
  readonly code: ConnectorErrorCode;
  readonly targetCode: string;

  constructor(code: ConnectorErrorCode, targetCode: string) {
    super(`${code} ${targetCode}`);
    this.name = 'StoreFailure';
    this.code = code;
    this.targetCode = targetCode;
  }
}

/**
 * A failure as the caller sees it: when the step that makes a change real was on its way and no answer came, nobody
 * knows (AMBIGUOUS). Anything that is no failure of the place passes through unchanged.
 */
export function asConnectorError(error: unknown, operation: string, sent: boolean): unknown {
  if (!(error instanceof StoreFailure)) {
    return error;
  }
  const isUnclear = sent && (error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT');
  return new ConnectorError({
    code: isUnclear ? 'AMBIGUOUS' : error.code,
    operation,
    sent,
    targetCode: error.targetCode,
  });
}

/** Ends with the work, or with TIMEOUT at once when the signal says so. */
export function unlessOver<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const over = (): void => reject(new StoreFailure('TIMEOUT', 'given-up'));
    if (signal.aborted) {
      over();
      return;
    }
    signal.addEventListener('abort', over, { once: true });
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', over));
  });
}
