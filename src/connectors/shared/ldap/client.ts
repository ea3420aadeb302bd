import type { Client, Control, Entry, SearchOptions } from 'ldapts';
import { Attribute, Change } from 'ldapts';
import type { AccountRef, OperationContext } from '../../connector.js';
import { ConnectorError, isConnectorError } from '../../errors.js';
import { timeLimit } from '../time-limit.js';
import type { ConnectionSettings } from './connections.js';
import { Connections, orAborted } from './connections.js';
import { isCertificateProblem, meaningOf, networkCode, resultCodeOf, resultCodes } from './result-codes.js';

/** One entry as read. Attribute names are lower case, options such as `;range=` included. */
export interface LdapEntry {
  readonly dn: string;
  readonly text: ReadonlyMap<string, readonly string[]>;
  readonly binary: ReadonlyMap<string, readonly Buffer[]>;
}

export interface LdapChange {
  readonly operation: 'add' | 'delete' | 'replace';
  readonly attribute: string;
  readonly values: readonly string[] | readonly Buffer[];
}

export type NewAttributes = readonly (readonly [name: string, values: readonly string[] | readonly Buffer[]])[];

/** Requests inside one operation, all on one connection that nobody else uses meanwhile. */
export interface LdapSession {
  search(base: string, options: SearchOptions): Promise<readonly LdapEntry[]>;
  /** One entry by its DN; undefined when there is none or the filter does not fit it. */
  read(dn: string, options: Omit<SearchOptions, 'scope'>): Promise<LdapEntry | undefined>;
  add(dn: string, attributes: NewAttributes): Promise<void>;
  modify(dn: string, changes: readonly LdapChange[], control?: Control): Promise<void>;
  /** Gives the entry another RDN, and another place when a parent is given. */
  move(dn: string, newRdn: string, newParent?: string): Promise<void>;
  remove(dn: string): Promise<void>;
  exop(oid: string, value: Buffer): Promise<void>;
  /** Names the account for errors of later requests. */
  about(ref: AccountRef): void;
}

interface Progress {
  /** True from the moment a write leaves until it is answered. */
  inFlight: boolean;
  marked: boolean;
  /** Writes that the directory has answered with success. */
  applied: number;
  ref: AccountRef | undefined;
}

/** Connections of one application: one set for operations, one for verification (another road than the writes). */
export class LdapDirectory {
  readonly settings: ConnectionSettings;
  readonly #main: Connections;
  readonly #second: Connections;

  constructor(settings: ConnectionSettings) {
    this.settings = settings;
    this.#main = new Connections(settings, settings.maxConnections);
    this.#second = new Connections(settings, 2);
  }

  async close(): Promise<void> {
    await Promise.all([this.#main.close(), this.#second.close()]);
  }

  /** Runs an operation: reads, and writes after the caller's marker. */
  async run<T>(operation: string, ctx: OperationContext, work: (session: LdapSession) => Promise<T>): Promise<T> {
    return this.#run(this.#main, operation, ctx, work);
  }

  /** Runs reads on a connection that never writes. */
  async verifying<T>(operation: string, ctx: OperationContext, work: (session: LdapSession) => Promise<T>): Promise<T> {
    return this.#run(this.#second, operation, ctx, work);
  }

  async #run<T>(
    connections: Connections,
    operation: string,
    ctx: OperationContext,
    work: (session: LdapSession) => Promise<T>,
  ): Promise<T> {
    const limit = timeLimit(ctx, operation, this.settings.requestTimeoutMs);
    const progress: Progress = { inFlight: false, marked: false, applied: 0, ref: undefined };
    try {
      const client = await connections.acquire(limit.signal);
      try {
        return await orAborted(work(this.#session(client, operation, ctx, progress, limit.signal)), limit.signal);
      } finally {
        // An operation that was given up may still get an answer: its connection is not used again.
        connections.release(client, limit.signal.aborted);
      }
    } catch (error) {
      throw error instanceof MarkerRefused ? error.reason : classify(error, operation, progress, limit.signal.aborted);
    } finally {
      limit.end();
    }
  }

  #session(
    client: Client,
    operation: string,
    ctx: OperationContext,
    progress: Progress,
    signal: AbortSignal,
  ): LdapSession {
    const { referrals, searchPageSize, binaryAttributes } = this.settings;
    const write = async (request: () => Promise<unknown>): Promise<void> => {
      if (!progress.marked) {
        await marked(ctx);
        progress.marked = true;
      }
      if (signal.aborted) {
        throw new ConnectorError({ code: 'TIMEOUT', operation, sent: progress.applied > 0 });
      }
      requireBound(client);
      progress.inFlight = true;
      try {
        await request();
        progress.applied += 1;
        progress.inFlight = false;
      } catch (error) {
        progress.inFlight = resultCodeOf(error) === undefined;
        throw error;
      }
    };
    const search: LdapSession['search'] = async (base, options) => {
      requireBound(client);
      const found = await client.search(base, { ...options, explicitBufferAttributes: [...binaryAttributes] });
      if (found.searchReferences.length > 0 && referrals === 'refuse') {
        throw new ConnectorError({
          code: 'UNSUPPORTED',
          operation,
          sent: progress.applied > 0,
          targetCode: 'referral',
        });
      }
      return found.searchEntries.map((entry) => entryOf(entry, binaryAttributes));
    };
    return {
      search: (base, options) => search(base, { paged: { pageSize: searchPageSize }, ...options }),
      read: async (dn, options) => {
        try {
          return (await search(dn, { ...options, scope: 'base' }))[0];
        } catch (error) {
          if (resultCodeOf(error) === resultCodes.noSuchObject) return undefined;
          throw error;
        }
      },
      add: (dn, attributes) =>
        write(() =>
          client.add(
            dn,
            attributes.map(([type, values]) => attribute(type, values)),
          ),
        ),
      modify: (dn, changes, control) => write(() => client.modify(dn, changes.map(toChange), control)),
      move: (dn, newRdn, newParent) =>
        write(() => client.modifyDN(dn, newParent === undefined ? newRdn : `${newRdn},${newParent}`)),
      remove: (dn) => write(() => client.del(dn)),
      exop: (oid, value) => write(() => client.exop(oid, value)),
      about: (ref) => {
        progress.ref = ref;
      },
    };
  }
}

/** The connector error of whatever went wrong, by what had been sent. */
function classify(error: unknown, operation: string, progress: Progress, aborted: boolean): ConnectorError {
  if (isConnectorError(error)) {
    return error;
  }
  const sent = progress.inFlight || progress.applied > 0;
  const { ref } = progress;
  const resultCode = resultCodeOf(error);
  if (resultCode !== undefined) {
    // Half of an operation is done and the rest is refused: the next try must know the account.
    const code = progress.applied > 0 ? 'PARTIAL' : meaningOf(resultCode);
    const targetCode = resultCode === resultCodes.referral ? 'referral' : String(resultCode);
    return new ConnectorError({ code, operation, sent: sent || progress.marked, targetCode, ref });
  }
  const targetCode = networkCode(error);
  if (!sent && isCertificateProblem(targetCode)) {
    return new ConnectorError({ code: 'UNAUTHENTICATED', operation, sent: false, targetCode });
  }
  const code = sent ? 'AMBIGUOUS' : aborted ? 'TIMEOUT' : 'UNAVAILABLE';
  return new ConnectorError({ code, operation, sent, targetCode, ref });
}

/** Marks what the caller's own marker throws, so that it passes through unchanged. */
class MarkerRefused extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the marker refused');
    this.reason = reason;
  }
}

async function marked(ctx: OperationContext): Promise<void> {
  try {
    await ctx.sentMarker?.();
  } catch (reason) {
    throw new MarkerRefused(reason);
  }
}

/** The client would connect again by itself, without binding: a search would then find nothing, and mean nothing. */
function requireBound(client: Client): void {
  if (!client.isBound) {
    throw new Error('the connection is lost');
  }
}

function toChange({ operation, attribute: type, values }: LdapChange): Change {
  return new Change({ operation, modification: attribute(type, values) });
}

function attribute(type: string, values: readonly string[] | readonly Buffer[]): Attribute {
  return new Attribute({ type, values: [...values] as string[] });
}

function entryOf(entry: Entry, binaryAttributes: readonly string[]): LdapEntry {
  const text = new Map<string, readonly string[]>();
  const binary = new Map<string, readonly Buffer[]>();
  for (const [name, held] of Object.entries(entry)) {
    const values: readonly (string | Buffer)[] = Array.isArray(held) ? held : [held];
    if (name === 'dn' || values.length === 0) continue;
    if (binaryAttributes.includes(name)) {
      binary.set(
        name.toLowerCase(),
        values.map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(value))),
      );
    } else {
      text.set(
        name.toLowerCase(),
        values.map((value) => (Buffer.isBuffer(value) ? value.toString('base64') : value)),
      );
    }
  }
  return { dn: entry.dn, text, binary };
}

/** The values of an attribute; none is an empty list. */
export function valuesOf(entry: LdapEntry, attribute: string): readonly string[] {
  return entry.text.get(attribute.toLowerCase()) ?? [];
}
