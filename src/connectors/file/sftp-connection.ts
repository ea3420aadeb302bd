import { createHash } from 'node:crypto';
import { Client } from 'ssh2';
import type { ConnectConfig, SFTPWrapper } from 'ssh2';
import type { Secret } from '../secret.js';
import { StoreFailure, unlessOver } from './store.js';

export interface SftpSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly auth:
    | { readonly method: 'key'; readonly key: Secret; readonly passphrase: Secret | undefined }
    | { readonly method: 'password'; readonly password: Secret };
  /** Fingerprints of the only host keys that are accepted. */
  readonly hostKeys: readonly string[];
  readonly connectTimeoutMs: number;
}

interface Session {
  readonly client: Client;
  readonly sftp: SFTPWrapper;
}

/** One SSH connection for all requests of a store: opened when needed, and again when it was lost. */
export class SftpConnection {
  readonly #settings: SftpSettings;
  #session: Promise<Session> | undefined;

  constructor(settings: SftpSettings) {
    this.#settings = settings;
  }

  /**
   * Runs requests on the connection. When the connection ends first: UNAVAILABLE; when the signal does: TIMEOUT, and
   * the connection is given up, because nobody knows what it still does.
   */
  async use<T>(signal: AbortSignal, work: (sftp: SFTPWrapper) => Promise<T>): Promise<T> {
    const opening = (this.#session ??= this.#open());
    try {
      return await unlessOver(signal, async () => {
        const { client, sftp } = await opening;
        return whileOpen(client, () => work(sftp));
      });
    } catch (error) {
      if (error instanceof StoreFailure && error.code === 'TIMEOUT') {
        this.#forget(opening);
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    this.#session = undefined;
    session?.client.end();
  }

  #forget(opening: Promise<Session>): void {
    if (this.#session === opening) this.#session = undefined;
    // What is still asked on it by others ends as UNAVAILABLE.
    void opening.then(
      ({ client }) => client.destroy(),
      () => undefined,
    );
  }

  #open(): Promise<Session> {
    const opening = connect(this.#settings, () => {
      if (this.#session === opening) this.#session = undefined;
    });
    opening.catch(() => {
      if (this.#session === opening) this.#session = undefined;
    });
    return opening;
  }
}

function connect(settings: SftpSettings, lost: () => void): Promise<Session> {
  const client = new Client();
  client.setMaxListeners(0);
  let isHostKnown = true;
  const opening = new Promise<Session>((resolve, reject) => {
    const fail = (error: Error & { level?: string }): void => {
      reject(isHostKnown ? failureOf(error) : new StoreFailure('UNAUTHENTICATED', 'host-key-changed'));
      client.destroy();
    };
    client.on('error', fail);
    client.on('close', () => {
      lost();
      fail(new Error('closed'));
    });
    client.on('ready', () => {
      // Every step is one small request and its answer: none shall wait for company.
      client.setNoDelay(true);
      client.sftp((error, sftp) =>
        error === undefined ? resolve({ client, sftp }) : reject(new StoreFailure('FORBIDDEN', 'no-sftp')),
      );
    });
    try {
      client.connect({
        ...credentials(settings),
        host: settings.host,
        port: settings.port,
        username: settings.user,
        readyTimeout: settings.connectTimeoutMs,
        keepaliveInterval: 10_000,
        // Asked before anything of us is shown to the server, a password least of all.
        hostVerifier: (key: Buffer) => (isHostKnown = settings.hostKeys.includes(fingerprintOf(key))),
      });
    } catch {
      // A private key that cannot be read; its text must not be said.
      reject(new StoreFailure('UNAUTHENTICATED', 'unreadable-key'));
    }
  });
  return opening;
}

function credentials({ auth }: SftpSettings): ConnectConfig {
  return auth.method === 'password'
    ? { password: auth.password.reveal(), authHandler: ['password'] }
    : {
        privateKey: auth.key.reveal(),
        authHandler: ['publickey'],
        ...(auth.passphrase === undefined ? {} : { passphrase: auth.passphrase.reveal() }),
      };
}

function failureOf(error: Error & { level?: string }): StoreFailure {
  switch (error.level) {
    case 'client-authentication':
      return new StoreFailure('UNAUTHENTICATED', 'ssh-authentication');
    case 'client-timeout':
      return new StoreFailure('UNAVAILABLE', 'ssh-timeout');
    default:
      return new StoreFailure('UNAVAILABLE', 'ssh-connection');
  }
}

/** ssh2 leaves requests of a lost connection without an answer: its end is one. */
function whileOpen<T>(client: Client, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const closed = (): void => reject(new StoreFailure('UNAVAILABLE', 'connection-lost'));
    client.once('close', closed);
    work()
      .then(resolve, reject)
      .finally(() => client.removeListener('close', closed));
  });
}

/** What `ssh-keygen -lf` prints for a host key. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}
