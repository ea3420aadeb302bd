import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import type { Control, Entry, SearchOptions } from 'ldapts';
import { Attribute, Change, Client } from 'ldapts';
import type { AccountRef, OperationContext } from '../../connector.js';
import { ConnectorError, isConnectorError } from '../../errors.js';
import type { Secret } from '../../secret.js';
import { timeLimit } from '../time-limit.js';
import { isCertificateProblem, meaningOf, networkCode, resultCodeOf, resultCodes } from './result-codes.js';

export interface ConnectionSettings {
  readonly url: string;
  readonly mode: 'ldaps' | 'starttls' | 'none';
  /** PEM; when given, nothing else is trusted. */
  readonly ca: string | undefined;
  /** SHA-256 of the server's own certificate, hexadecimal without colons, upper case. */
  readonly fingerprint: string | undefined;
  readonly clientCertificate: { readonly cert: string; readonly key: Secret } | undefined;
  /** Undefined: SASL EXTERNAL with the client certificate. */
  readonly bind: { readonly name: string; readonly password: Secret } | undefined;
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  readonly referrals: 'refuse' | 'ignore';
  readonly searchPageSize: number;
  readonly binaryAttributes: readonly string[];
}

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

/** A connection is used by one operation at a time; those that died meanwhile are left. */
class Connections {
  readonly #settings: ConnectionSettings;
  readonly #most: number;
  readonly #idle: Client[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(settings: ConnectionSettings, most: number) {
    this.#settings = settings;
    this.#most = most;
  }

  async acquire(signal: AbortSignal): Promise<Client> {
    await this.#place(signal);
    try {
      for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
        if (client.isBound) return client;
        discard(client);
      }
      return await openConnection(this.#settings, signal);
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  release(client: Client, isBroken: boolean): void {
    if (isBroken || !client.isBound) {
      discard(client);
    } else {
      this.#idle.push(client);
    }
    this.#leave();
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((client) => client.unbind().catch(() => undefined)));
  }

  async #place(signal: AbortSignal): Promise<void> {
    if (this.#busy < this.#most) {
      this.#busy += 1;
      return;
    }
    let take = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      take = resolve;
      this.#waiting.push(take);
    });
    try {
      await orAborted(turn, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(take);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.#leave();
      throw error;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy -= 1;
    else next();
  }
}

/**
 * Connects, secures and binds; with `as` under another name than the service account's. The caller ends it with
 * {@link discard}. A refused bind throws the directory's own error.
 */
export async function openConnection(
  settings: ConnectionSettings,
  signal: AbortSignal,
  as?: { readonly name: string; readonly password: Secret; readonly control: Control | undefined },
): Promise<Client> {
  const tlsOptions = tlsOptionsOf(settings);
  const client = new Client({
    url: settings.url,
    strictDN: false,
    connectTimeout: settings.requestTimeoutMs,
    ...(settings.mode === 'ldaps' ? { tlsOptions } : {}),
  });
  const open = async (): Promise<void> => {
    if (settings.mode === 'starttls') await client.startTLS(tlsOptions);
    const bind = as ?? settings.bind;
    if (bind === undefined) await client.bindSASL('EXTERNAL');
    else await client.bind(bind.name, bind.password.reveal(), as?.control);
  };
  try {
    await orAborted(open(), signal);
    return client;
  } catch (error) {
    discard(client);
    throw error;
  }
}

/** Ends a connection without waiting for it. */
export function discard(client: Client): void {
  client.unbind().catch(() => undefined);
}

function tlsOptionsOf(settings: ConnectionSettings): ConnectionOptions {
  const host = new URL(settings.url).hostname.replace(/^\[|\]$/g, '');
  const { fingerprint, clientCertificate } = settings;
  return {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(settings.ca === undefined ? {} : { ca: settings.ca }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate.cert, key: clientCertificate.key.reveal() }),
    checkServerIdentity: (name, certificate) => {
      if (fingerprint !== undefined && certificate.fingerprint256.replaceAll(':', '') !== fingerprint) {
        return Object.assign(new Error('not the pinned certificate'), { code: 'CERT_NOT_PINNED' });
      }
      return checkServerIdentity(name, certificate);
    },
  };
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

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(new Error('aborted'));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    work.catch(() => undefined);
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
