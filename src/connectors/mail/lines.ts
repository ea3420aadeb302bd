import { connect as connectPlain, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { guardedLookup } from '../shared/http/guard.js';

export interface LineServer {
  readonly host: string;
  readonly port: number;
  readonly mode: 'starttls' | 'tls' | 'none';
  /** PEM; when given, nothing else is trusted. */
  readonly ca: string | undefined;
}

/** An answer is read up to this size: a script or a greeting, never a mail. */
const MAX_BYTES = 2 ** 20;

/**
 * One connection to a server that speaks in lines (ManageSieve, IMAP). It ends when the signal aborts; every wait then
 * fails. A connection that was lost fails every wait, too.
 */
export class LineConnection {
  #socket: Socket;
  #bytes = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  readonly #server: LineServer;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#fail(new Error('aborted'));

  private constructor(server: LineServer, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
    const { host, port, mode } = server;
    this.#socket =
      mode === 'tls'
        ? connectTls({ ...this.#tlsOptions(), host, port, lookup: guardedLookup })
        : connectPlain({ host, port, lookup: guardedLookup });
    this.#listen();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  static open(server: LineServer, signal: AbortSignal): LineConnection {
    return new LineConnection(server, signal);
  }

  /** True once the channel is as secure as configured. */
  get mustUpgrade(): boolean {
    return this.#server.mode === 'starttls';
  }

  async write(data: string | Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(data, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
  }

  /** The next line, without its end. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#bytes.indexOf('\r\n');
      if (end >= 0)
        return this.#take(end + 2)
          .subarray(0, end)
          .toString('utf8');
      await this.#more();
    }
  }

  async exactly(count: number): Promise<Buffer> {
    if (count > MAX_BYTES) throw new Error('too much');
    while (this.#bytes.length < count) await this.#more();
    return this.#take(count);
  }

  /** Encrypts what follows; what a stranger may have slipped in before is thrown away (RFC 5804, 2.2). */
  async upgrade(): Promise<void> {
    this.#socket.removeAllListeners();
    this.#bytes = Buffer.alloc(0);
    const secure = connectTls({ ...this.#tlsOptions(), socket: this.#socket });
    this.#socket = secure;
    this.#listen();
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('error', reject);
      secure.once('close', () => reject(new Error('lost')));
    });
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
  }

  #tlsOptions() {
    const { host, ca } = this.#server;
    return { ...(isIP(host) === 0 ? { servername: host } : { host }), ...(ca === undefined ? {} : { ca }) };
  }

  #listen(): void {
    this.#socket.on('data', (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      if (this.#bytes.length > 2 * MAX_BYTES) this.#fail(new Error('too much'));
      this.#wake?.();
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('lost')));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    this.#wake?.();
  }

  #take(count: number): Buffer {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
  }
}
