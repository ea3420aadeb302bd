/** scim2-server (PyPI): a SCIM 2.0 server that we did not write, in a Python environment of its own under the cache folder. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/config.js';
import { freePort } from '../../src/embedded/processes.js';

const run = promisify(execFile);
export const scim2ServerVersion = '0.8.3';

export interface Scim2Server {
  readonly baseUrl: string;
  readonly token: string;
  stop(): Promise<void>;
}

/**
 * Why the server cannot be had here, or undefined when it can. Installs it on first use (about 10 s, needs the Python
 * package index). With TENURE_TEST_ALLOW_SKIP=0 a reason is an error instead.
 */
export async function reasonToSkipScim2Server(): Promise<string | undefined> {
  try {
    await installedProgram();
    return undefined;
  } catch (error) {
    const reason = `scim2-server ${scim2ServerVersion}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`;
    if (process.env['TENURE_TEST_ALLOW_SKIP'] === '0') {
      throw new Error(`must not be skipped: ${reason}`, { cause: error });
    }
    return reason;
  }
}

/** Starts the server on a free loopback port with a bearer token. */
export async function startScim2Server(): Promise<Scim2Server> {
  const program = await installedProgram();
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

async function installedProgram(): Promise<string> {
  const cache = loadConfig().cacheDir;
  const home = join(cache, `scim2-server-${scim2ServerVersion}`);
  const program = join(home, 'bin', 'scim2-server');
  if (existsSync(program)) {
    return program;
  }
  // Built under a name of its own and linked when it is whole: an interrupted install leaves nothing half-made behind.
  mkdirSync(cache, { recursive: true });
  const fresh = `${home}.${process.pid}`;
  await run('python3', ['-m', 'venv', fresh]);
  const pip = join(fresh, 'bin', 'pip');
  await run(pip, ['--quiet', '--disable-pip-version-check', 'install', `scim2-server==${scim2ServerVersion}`]);
  try {
    symlinkSync(fresh, home);
  } catch (error) {
    if (!existsSync(program)) {
      throw error;
    }
  }
  return program;
}
