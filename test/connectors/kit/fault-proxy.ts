import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/**
 * pass: forwards. refuse: closes connections before a byte is read. hang: takes everything, forwards and answers
 * nothing. lose-answer: forwards, and when the target has answered a write it cuts the connection instead of passing
 * the answer on.
 */
export type FaultMode = 'pass' | 'refuse' | 'hang' | 'lose-answer';

export interface FaultProxy {
  readonly port: number;
  fail(mode: FaultMode): void;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

/**
 * A TCP proxy before a real target. `isWrite` says which bytes of a client are the write whose answer may be lost; where
 * bytes say nothing (SSH), `isApplied` says, when the target answers, that the write has happened.
 */
export async function startFaultProxy(
  target: { host: string; port: number },
  isWrite: (bytes: Buffer) => boolean,
  isApplied: () => boolean = () => false,
): Promise<FaultProxy> {
  let mode: FaultMode = 'pass';
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => undefined);
    if (mode === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(target.port, target.host);
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    let written = false;
    client.on('data', (bytes: Buffer) => {
      written = written || isWrite(bytes);
      if (mode !== 'hang') {
        upstream.write(bytes);
      }
    });
    upstream.on('data', (bytes: Buffer) => {
      if (mode === 'lose-answer' && (written || isApplied())) {
        client.resetAndDestroy();
      } else if (mode !== 'hang') {
        client.write(bytes);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    fail: (next) => {
      mode = next;
      if (next === 'refuse') {
        for (const socket of sockets) socket.resetAndDestroy();
      }
    },
    open: () => sockets.size,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
