import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import type { Control } from 'ldapts';
import { Client } from 'ldapts';
import type { Secret } from '../../secret.js';

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

/** A connection is used by one operation at a time; those that died meanwhile are left. */
export class Connections {
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

/** The work's result, or an error as soon as the signal aborts; what the work does after that is nobody's concern. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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
