import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Secret } from '../secret.js';
import { networkCode } from '../shared/sql/client.js';
import { openAnswer } from './codec.js';
import type { Packet, Request } from './codec.js';

export interface Peer {
  readonly host: string;
  readonly port: number;
  readonly secret: Secret;
  /** A Message-Authenticator may be missing in answers; never so for sign-ins. */
  readonly isOptional?: boolean;
}

/** An authentic answer, or why there is none: `no-answer`, `unauthentic-answer`, or the network's own code. */
export type Exchange = { readonly packet: Packet } | { readonly silence: string };

const sendEveryMs = 2_000;
const sends = 3;

/**
 * One request over UDP from a socket that hears this peer alone. UDP loses packets, so the same packet, identifier and all, is
 * sent up to three times: a server answers a repeat with the answer that it gave. What is not authentic is passed over, as RFC 2865 asks.
 */
export async function exchange(peer: Peer, request: Request, signal: AbortSignal): Promise<Exchange> {
  let address: { address: string; family: number };
  try {
    address = await lookup(peer.host);
  } catch (error) {
    return { silence: networkCode(error) };
  }
  const socket = createSocket(address.family === 6 ? 'udp6' : 'udp4');
  let timer: NodeJS.Timeout | undefined;
  let silence = 'no-answer';
  try {
    return await new Promise<Exchange>((resolve) => {
      const end = (): void => resolve({ silence });
      if (signal.aborted) return end();
      signal.addEventListener('abort', end, { once: true });
      socket.on('error', (error) => resolve({ silence: networkCode(error) }));
      socket.on('message', (bytes) => {
        const packet = openAnswer(bytes, request, peer.secret, peer.isOptional === true);
        if (packet === undefined) silence = 'unauthentic-answer';
        else resolve({ packet });
      });
      let left = sends;
      const send = (): void => {
        if (left === 0) return end();
        left -= 1;
        socket.send(request.bytes, (error) => (error === null ? undefined : resolve({ silence: networkCode(error) })));
        timer = setTimeout(send, sendEveryMs);
      };
      socket.connect(peer.port, address.address, send);
    });
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}
