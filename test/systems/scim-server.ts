/** scim2-server (PyPI): a SCIM 2.0 server that we did not write, in a Python environment of its own under the cache folder. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../src/embedded/processes.js';
import { pythonProgram, reasonToSkipPython } from './python.js';

export const scim2ServerVersion = '0.8.3';

export interface Scim2Server {
  readonly baseUrl: string;
  readonly token: string;
  stop(): Promise<void>;
}

const scim2Server = { name: 'scim2-server', version: scim2ServerVersion, program: 'scim2-server' } as const;

/** Why the server cannot be had here, or undefined when it can; about 10 s on first use. */
export function reasonToSkipScim2Server(): Promise<string | undefined> {
  return reasonToSkipPython(scim2Server);
}

/** Starts the server on a free loopback port with a bearer token. */
export async function startScim2Server(): Promise<Scim2Server> {
  const program = await pythonProgram(scim2Server);
  const port = await freePort();
  const token = 'conformance-token';
  const child = spawn(program, ['--hostname', '127.0.0.1', '--port', String(port), '--bearer-token', token], {
    stdio: 'ignore',
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const baseUrl = `http://127.0.0.1:${port}/v2`;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(late);
  };
  for (let waited = 0; waited < 30_000; waited += 100) {
    const answers = await fetch(`${baseUrl}/ServiceProviderConfig`, {
      headers: { authorization: `Bearer ${token}` },
    }).then(
      (response) => response.ok,
      () => false,
    );
    if (answers) {
      return { baseUrl, token, stop };
    }
    if (child.exitCode !== null) {
      break;
    }
    await delay(100);
  }
  await stop();
  throw new Error('scim2-server did not come up');
}
