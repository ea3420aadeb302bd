import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { parseVaultReference } from '../domain/policy/secret-reference.js';
import type { ConnectorLogger } from './connector.js';
import type { Secret, SecretResolver } from './secret.js';
import { createSecretResolver, SecretReferenceError } from './secret.js';
import type { VaultLogin, VaultReading, VaultSecretReader } from './shared/vault/secret-reader.js';
import { createVaultSecretReader } from './shared/vault/secret-reader.js';

export type { VaultLogin } from './shared/vault/secret-reader.js';

/**
 * Resolves references for connectors. What stands behind `vault:` is read ahead by `prepare`, because connectors are made without waiting; values are in this
 * process's memory only.
 */
export interface SecretStore {
  /** Answers `env:` and `file:` by itself, `vault:` from what was prepared. Throws SecretReferenceError. */
  readonly resolve: SecretResolver;
  /** Reads what is not known, refused or old of these references. Never throws: a problem is thrown by `resolve`, to whom it concerns. */
  prepare(references: readonly string[], signal: AbortSignal): Promise<void>;
  /** Text that changes when one of the values does, and gives none of them away. */
  stampOf(references: readonly string[]): string;
  /** A target refused these: the next `prepare` reads them anew, and until then nothing else is believed. */
  refused(references: readonly string[]): void;
  close(): Promise<void>;
}

export interface SecretStoreOptions {
  /** Where `env:` references are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined: `vault:` references cannot be resolved here. */
  readonly vault?: VaultLogin | undefined;
  readonly logger: ConnectorLogger;
  readonly now?: () => number;
}

/** A value is read anew after this time, so that a rotation is seen before the old value ends. */
export const MAX_AGE_MS = 60_000;
/** After a reading that failed nobody asks again for so long: many visits must not make a storm. */
const PAUSE_MS = 1_000;
/** One reading takes at most this long, well within what a local activity may take. */
const READ_TIMEOUT_MS = 4_000;

/** One path of Vault's; its fields are read together, so that user name and password are of one version. */
interface Entry {
  readonly path: string;
  fields?: ReadonlyMap<string, Secret>;
  stamp: string;
  readAt: number;
  problem?: { readonly problem: string; readonly temporary: boolean; readonly at: number };
  /** Readings are numbered: what was refused counts as known again when a reading that began later has ended well. */
  begun: number;
  ended: number;
  wanted: number;
  reading?: Promise<void> | undefined;
}

export function createSecretStore(options: SecretStoreOptions): SecretStore {
  const { env, vault, logger } = options;
  const own = createSecretResolver(env);
  const now = options.now ?? (() => performance.now());
  const reader = vault === undefined ? undefined : createVaultSecretReader(vault, own, READ_TIMEOUT_MS);
  const entries = new Map<string, Entry>();
  const entryOf = (path: string): Entry => {
    const entry = entries.get(path) ?? { path, stamp: '', readAt: 0, begun: 0, ended: 0, wanted: 1 };
    entries.set(path, entry);
    return entry;
  };
  const isCurrent = (entry: Entry): boolean => entry.ended >= entry.wanted && now() - entry.readAt < MAX_AGE_MS;
  const mayAsk = (entry: Entry): boolean => entry.problem === undefined || now() - entry.problem.at >= PAUSE_MS;
  const bring = async (entry: Entry, from: VaultSecretReader): Promise<void> => {
    while (!isCurrent(entry) && (entry.reading !== undefined || mayAsk(entry))) {
      entry.reading ??= readInto(entry, from, now, logger).finally(() => (entry.reading = undefined));
      await entry.reading;
    }
  };
  const pathsOf = (references: readonly string[]): readonly string[] => [
    ...new Set(references.flatMap((reference) => parseVaultReference(reference)?.path ?? [])),
  ];
  return {
    resolve: (reference) => {
      const wanted = parseVaultReference(reference);
      if (wanted === undefined) return own(reference);
      if (vault === undefined)
        throw new SecretReferenceError(reference, 'TENURE_VAULT_ADDR is not set where this runs');
      return fieldOf(reference, wanted.field, entryOf(wanted.path));
    },
    async prepare(references, signal) {
      if (reader === undefined) return;
      // A reading is everybody's: one that gives up waiting does not end it for the others.
      const old = pathsOf(references)
        .map(entryOf)
        .filter((entry) => !isCurrent(entry));
      if (old.length === 0) return;
      await Promise.race([Promise.all(old.map((entry) => bring(entry, reader))), aborted(signal)]);
    },
    stampOf: (references) =>
      pathsOf(references)
        .map((path) => entryOf(path).stamp)
        .join('/'),
    refused: (references) => {
      for (const path of pathsOf(references)) {
        const entry = entryOf(path);
        entry.wanted = entry.begun + 1;
        delete entry.problem;
      }
    },
    close: async () => {
      await reader?.close();
      entries.clear();
    },
  };
}

function fieldOf(reference: string, field: string, entry: Entry): Secret {
  const { fields, problem } = entry;
  // A value that is only old goes on being used while Vault is away; one that the target refused does not.
  const isUsable =
    fields !== undefined && (problem === undefined || (problem.temporary && entry.ended >= entry.wanted));
  if (!isUsable) {
    if (problem === undefined) throw new SecretReferenceError(reference, 'it was not read from Vault yet', true);
    throw new SecretReferenceError(reference, problem.problem, problem.temporary);
  }
  const value = fields.get(field);
  if (value === undefined || value.reveal() === '')
    throw new SecretReferenceError(reference, 'the secret is there, but not this field, or it is empty or no text');
  return value;
}

/** Digests are keyed by the process, so that none of them can be tried against guesses elsewhere. */
const stampKey = randomBytes(32);

async function readInto(
  entry: Entry,
  reader: VaultSecretReader,
  now: () => number,
  logger: ConnectorLogger,
): Promise<void> {
  entry.begun += 1;
  const number = entry.begun;
  const reading: VaultReading = await reader.read(entry.path, {
    idempotencyKey: `secret/${randomUUID()}`,
    signal: AbortSignal.timeout(READ_TIMEOUT_MS),
    deadline: new Date(Date.now() + READ_TIMEOUT_MS).toISOString(),
    progress: () => undefined,
    logger,
  });
  if ('fields' in reading) {
    if (entry.problem !== undefined) logger.info({ path: entry.path }, 'a secret is read from Vault again');
    delete entry.problem;
    entry.fields = reading.fields;
    entry.stamp = stampOf(reading.fields);
    entry.readAt = now();
    entry.ended = number;
    return;
  }
  const { problem, temporary } = reading;
  if (entry.problem?.problem !== problem)
    logger.error({ path: entry.path, problem }, 'a secret cannot be read from Vault');
  entry.problem = { problem, temporary, at: now() };
  if (!temporary) {
    // Who takes a secret out of Vault means it.
    delete entry.fields;
    entry.stamp = '';
  }
}

function stampOf(fields: ReadonlyMap<string, Secret>): string {
  const values = [...fields].map(([name, value]) => [name, value.reveal()]).sort();
  return createHmac('sha256', stampKey).update(JSON.stringify(values)).digest('base64url').slice(0, 22);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
