import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/**
 * What the wire does. `reset-before`, `reset-after`, `half-open` and `garbage` wait for the write; everything before it passes.
 *
 * | mode           | the target hears of the write | the client                                         |
 * | -------------- | ----------------------------- | -------------------------------------------------- |
 * | `pass`         | yes                           | gets the answer                                    |
 * | `refuse`       | no                            | is reset before a byte is read                     |
 * | `hang`         | no                            | gets nothing; its connection stays open            |
 * | `lose-answer`  | yes                           | is reset when the target has answered              |
 * | `reset-before` | no                            | is reset in the middle of its write                |
 * | `reset-after`  | yes                           | is reset as soon as its write has been passed on   |
 * | `slow`         | yes                           | gets the answer in small pieces, late              |
 * | `half-open`    | yes                           | gets nothing, as when the other side's machine died |
 * | `garbage`      | yes                           | gets bytes that are no answer, then the end        |
 */
export const faultModes = [
  'pass',
  'refuse',
  'hang',
  'lose-answer',
  'reset-before',
  'reset-after',
  'slow',
  'half-open',
  'garbage',
] as const;
export type FaultMode = (typeof faultModes)[number];

export interface FaultProxy {
  readonly port: number;
  fail(mode: FaultMode): void;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

const SLOW_PIECES = 4;
const SLOW_PAUSE_MS = 15;
const GARBAGE = Buffer.from(Array.from({ length: 64 }, (_, index) => (index * 37 + 201) % 256));

/**
 * A TCP proxy before a real target. `isWrite` says which bytes of a client are the write that the modes wait for: the last one of an operation in steps, but for
 * `reset-before` the first that lasts. Where bytes say nothing (SSH), `isApplied` says, when the target answers, that the write has happened.
 */
export async function startFaultProxy(
  target: { host: string; port: number },
  isWrite: (bytes: Buffer, mode: FaultMode) => boolean,
  isApplied: () => boolean = () => false,
): Promise<FaultProxy> {
  const wire: Wire = { mode: 'pass', turn: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => undefined);
    if (wire.mode === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    forward(client, connect(target.port, target.host), wire, { isWrite, isApplied });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    fail: (next) => {
      wire.mode = next;
      wire.turn += 1;
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

interface Wire {
  mode: FaultMode;
  /** Counts the calls of `fail`: a write of an earlier mode on the same connection is not the one that this mode waits for. */
  turn: number;
}

function forward(
  client: Socket,
  upstream: Socket,
  wire: Wire,
  { isWrite, isApplied }: { isWrite(bytes: Buffer, mode: FaultMode): boolean; isApplied(): boolean },
): void {
  let writtenIn: number | undefined;
  /** The client was cut; the target may still finish what it heard. */
  let abandoned = false;
  let slowly = Promise.resolve();
  upstream.on('error', () => client.destroy());
  upstream.on('close', () => {
    // A machine that died does not say goodbye.
    if (wire.mode !== 'half-open' || writtenIn !== wire.turn) void slowly.then(() => client.end());
  });
  client.on('close', () => {
    if (!abandoned) upstream.destroy();
  });
  client.on('data', (bytes: Buffer) => {
    if (isWrite(bytes, wire.mode)) writtenIn = wire.turn;
    const written = writtenIn === wire.turn;
    if (wire.mode === 'hang') {
      return;
    }
    if (wire.mode === 'reset-before' && written) {
      upstream.destroy();
      client.resetAndDestroy();
      return;
    }
    const cuts = wire.mode === 'reset-after' && written;
    abandoned ||= cuts;
    upstream.write(bytes, () => {
      if (cuts) client.resetAndDestroy();
    });
  });
  upstream.on('data', (bytes: Buffer) => {
    if (abandoned) {
      upstream.end();
      return;
    }
    if (isApplied()) writtenIn = wire.turn;
    const written = writtenIn === wire.turn;
    switch (wire.mode) {
      case 'hang':
        return;
      case 'half-open':
        if (!written) client.write(bytes);
        return;
      case 'lose-answer':
      case 'reset-after':
        if (written) client.resetAndDestroy();
        else client.write(bytes);
        return;
      case 'garbage':
        if (written) client.end(GARBAGE);
        else client.write(bytes);
        return;
      case 'slow':
        slowly = slowly.then(() => inPieces(client, bytes));
        return;
      case 'pass':
      case 'refuse':
      case 'reset-before':
        client.write(bytes);
    }
  });
}

async function inPieces(client: Socket, bytes: Buffer): Promise<void> {
  const size = Math.max(1, Math.ceil(bytes.length / SLOW_PIECES));
  for (let at = 0; at < bytes.length && !client.destroyed; at += size) {
    await new Promise((resolve) => setTimeout(resolve, SLOW_PAUSE_MS));
    client.write(bytes.subarray(at, at + size));
  }
}
