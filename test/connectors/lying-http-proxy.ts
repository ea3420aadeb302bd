import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LyingProxy {
  readonly url: string;
  /** From now on these requests are answered 204 and never reach the target; undefined: honest again. Forgets what was swallowed before. */
  lie(about: RegExp | undefined): void;
  /** What was swallowed since, as `METHOD /path`: a lie that nobody heard proves nothing. */
  swallowed(): readonly string[];
  stop(): Promise<void>;
}

/** An HTTP proxy before a real server (unencrypted, loopback) that pretends to have done what it was asked to do. */
export async function startLyingProxy(port: number): Promise<LyingProxy> {
  let about: RegExp | undefined;
  let swallowed: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const what = `${incoming.method} ${incoming.url}`;
    if (about?.test(what) === true) {
      swallowed.push(what);
      incoming.resume();
      incoming.on('end', () => outgoing.writeHead(204).end());
      return;
    }
    const { method, url, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lie: (next) => {
      about = next;
      swallowed = [];
    },
    swallowed: () => swallowed,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
