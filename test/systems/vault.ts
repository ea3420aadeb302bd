/** HashiCorp Vault 1.13 (MPL-2.0), built from Go modules: in memory, initialised and unsealed by the test, over TLS on a port of its own. */
import { request } from 'node:https';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
import { runFolder } from '../support/run-folder.js';
import { makeCertificates, startDaemon } from './debian.js';
import type { Certificates } from './debian.js';
import { goProgram } from './go-build.js';
import type { GoBuild } from './go-build.js';

/** The last version under the MPL. 1.14 needs a state of its sdk that was never tagged. */
export const vaultProgram = {
  name: 'vault-1.13.0',
  package: 'github.com/hashicorp/vault',
  require: { 'github.com/hashicorp/vault': 'v1.13.0', 'github.com/hashicorp/vault/sdk': 'v0.8.1' },
} as const;

export interface VaultAnswer {
  readonly status: number;
  readonly data: Record<string, unknown>;
  readonly auth: Record<string, unknown>;
  readonly body: Record<string, unknown>;
}

export interface Vault {
  readonly address: string;
  readonly port: number;
  /** The same server unencrypted, for a proxy that must see what it loses. */
  readonly plainPort: number;
  readonly certificates: Certificates;
  readonly rootToken: string;
  /** The oracle: a request of its own, as root unless another token is given; never the connector's client. */
  call(method: string, path: string, body?: unknown, token?: string): Promise<VaultAnswer>;
  /** As `call`, and throws when the answer is no success: for setting up. */
  set(method: string, path: string, body?: unknown): Promise<VaultAnswer>;
  /** Closes the server to everybody: it answers 503 until it is unsealed. What it keeps stays. */
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** What the server wrote of requests, without values (its audit device hashes them). */
  audit(): Promise<string>;
  stop(): Promise<void>;
}

/** The program, built before or now (TENURE_CI_FULL=1), or why there is none. */
export function vaultBuild(): Promise<GoBuild> {
  return goProgram(vaultProgram);
}

/** Starts an empty server. */
export async function startVault(program: string): Promise<Vault> {
  const folder = await mkdtemp(join(runFolder(), 'vault-'));
  const certificates = await makeCertificates(join(folder, 'tls'));
  const [port, plainPort, clusterPort] = [await freePort(), await freePort(), await freePort()];
  const listener = {
    address: `127.0.0.1:${port}`,
    cluster_address: `127.0.0.1:${clusterPort}`,
    tls_cert_file: certificates.cert,
    tls_key_file: certificates.key,
  };
  const settings = {
    storage: { inmem: {} },
    listener: [{ tcp: listener }, { tcp: { address: `127.0.0.1:${plainPort}`, tls_disable: true } }],
    disable_mlock: true,
    api_addr: `https://127.0.0.1:${port}`,
    log_level: 'warn',
  };
  await writeFile(join(folder, 'vault.json'), JSON.stringify(settings));
  const ca = await readFile(certificates.ca, 'utf8');
  const send = (method: string, path: string, body: unknown, token: string) =>
    exchange({ port, ca }, method, path, body, token);
  const daemon = await startDaemon(
    // Built with Go 1.23 or later, this version panics at its start without the setting; a daemon is given no environment of its own.
    '/usr/bin/env',
    ['GODEBUG=x509negativeserial=1', `HOME=${folder}`, program, 'server', `-config=${join(folder, 'vault.json')}`],
    join(folder, 'vault.log'),
    () =>
      send('GET', 'sys/health', undefined, '').then(
        ({ status }) => status === 501 || status === 503,
        () => false,
      ),
  );
  const made = await send('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }, '');
  const rootToken = String(made.body['root_token']);
  const key = (made.body['keys'] as string[])[0];
  await send('PUT', 'sys/unseal', { key }, '');
  const call: Vault['call'] = (method, path, body, token = rootToken) => send(method, path, body, token);
  const set: Vault['set'] = async (method, path, body) => {
    const answer = await call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  };
  const auditFile = join(folder, 'audit.log');
  await untilActive(call);
  await set('PUT', 'sys/audit/file', { type: 'file', options: { file_path: auditFile } });
  return {
    address: `https://127.0.0.1:${port}`,
    port,
    plainPort,
    certificates,
    rootToken,
    call,
    set,
    seal: async () => void (await set('PUT', 'sys/seal')),
    unseal: async () => {
      await send('PUT', 'sys/unseal', { key }, '');
      await untilActive(call);
    },
    audit: () => readFile(auditFile, 'utf8'),
    stop: async () => {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** An unsealed server takes a moment to become active. */
async function untilActive(call: Vault['call']): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 100) {
    if ((await call('GET', 'sys/health')).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the server did not become active');
}

function exchange(
  server: { readonly port: number; readonly ca: string },
  method: string,
  path: string,
  body: unknown,
  token: string,
): Promise<VaultAnswer> {
  return new Promise((resolve, reject) => {
    const headers = token === '' ? {} : { 'x-vault-token': token };
    const options = { host: '127.0.0.1', ...server, method, path: `/v1/${path}`, headers };
    const sent = request(options, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('error', reject);
      response.on('end', () => {
        const parsed = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
        const part = (name: string) => (parsed[name] ?? {}) as Record<string, unknown>;
        resolve({ status: response.statusCode ?? 0, data: part('data'), auth: part('auth'), body: parsed });
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
