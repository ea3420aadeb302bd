/** Synapse (PyPI: matrix-synapse), the Matrix chat server: a database of its own in a folder, no federation, on a loopback port. */
import { createHmac } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
import { runFolder } from '../support/run-folder.js';
import { run, startDaemon } from './debian.js';
import { pythonProgram, reasonToSkipPython } from './python.js';

const synapse = { name: 'matrix-synapse', version: '1.163.2', program: 'synapse_homeserver' } as const;

/** Why the server cannot be had here, or undefined when it can; the first install takes a minute or more (240 MB). */
export function reasonToSkipSynapse(): Promise<string | undefined> {
  return reasonToSkipPython(synapse);
}

export interface SynapseAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface Synapse {
  readonly baseUrl: string;
  /** What stands behind the colon of every id. */
  readonly serverName: string;
  /** An access token of the administrator. */
  readonly adminToken: string;
  /** The oracle: a request as the administrator, or with another token, or with none (''). */
  call(method: string, path: string, body?: unknown, token?: string): Promise<SynapseAnswer>;
  stop(): Promise<void>;
}

/** Starts an empty server with one administrator. */
export async function startSynapse(): Promise<Synapse> {
  const program = await pythonProgram(synapse);
  const folder = await mkdtemp(join(runFolder(), 'synapse-'));
  await mkdir(join(folder, 'media'));
  const port = await freePort();
  const serverName = 'chat.example.test';
  const registration = 'registration-secret-of-the-tests';
  const settings = join(folder, 'homeserver.json');
  // YAML takes JSON.
  await writeFile(settings, JSON.stringify(settingsOf(folder, port, serverName, registration)));
  await writeFile(join(folder, 'log.json'), JSON.stringify(logging));
  const python = join(dirname(program), 'python');
  await run(python, ['-m', 'synapse.app.homeserver', '-c', settings, '--generate-keys'], { cwd: folder });
  const baseUrl = `http://127.0.0.1:${port}`;
  const daemon = await startDaemon(
    python,
    ['-m', 'synapse.app.homeserver', '-c', settings],
    join(folder, 'synapse.log'),
    () =>
      fetch(`${baseUrl}/health`).then(
        (answer) => answer.ok,
        () => false,
      ),
  );
  const send = async (method: string, path: string, body: unknown, token: string): Promise<SynapseAnswer> => {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(`${baseUrl}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as SynapseAnswer['body'] };
  };
  const adminToken = await registerAdministrator(send, registration);
  return {
    baseUrl,
    serverName,
    adminToken,
    call: (method, path, body, token = adminToken) => send(method, path, body, token),
    stop: async () => {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

type SendAs = (method: string, path: string, body: unknown, token: string) => Promise<SynapseAnswer>;

/** By the shared secret, as the product's own `register_new_matrix_user` does. */
async function registerAdministrator(send: SendAs, secret: string): Promise<string> {
  const path = '/_synapse/admin/v1/register';
  const { nonce } = (await send('GET', path, undefined, '')).body;
  const [username, password] = ['administrator', 'password-of-the-administrator'];
  const mac = createHmac('sha1', secret).update([nonce, username, password, 'admin'].join('\0')).digest('hex');
  const { status, body } = await send('POST', path, { nonce, username, password, admin: true, mac }, '');
  if (status !== 200) throw new Error(`no administrator: ${status} ${JSON.stringify(body)}`);
  return String(body['access_token']);
}

const unlimited = { per_second: 10_000, burst_count: 10_000 };

function settingsOf(folder: string, port: number, serverName: string, registration: string): object {
  const listener = { port, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client'] }] };
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${port}/`,
    pid_file: join(folder, 'homeserver.pid'),
    listeners: [listener],
    database: { name: 'sqlite3', args: { database: join(folder, 'homeserver.db') } },
    log_config: join(folder, 'log.json'),
    media_store_path: join(folder, 'media'),
    signing_key_path: join(folder, 'signing.key'),
    registration_shared_secret: registration,
    macaroon_secret_key: 'macaroon-secret-of-the-tests',
    report_stats: false,
    suppress_key_server_warning: true,
    trusted_key_servers: [],
    federation_domain_whitelist: [],
    presence: { enabled: false },
    // Quick hashes: these passwords protect nothing.
    bcrypt_rounds: 4,
    rc_login: { address: unlimited, account: unlimited, failed_attempts: unlimited },
    rc_joins: { local: unlimited, remote: unlimited },
    rc_message: unlimited,
    rc_admin_redaction: unlimited,
  };
}

const logging = {
  version: 1,
  handlers: { console: { class: 'logging.StreamHandler' } },
  root: { level: 'WARNING', handlers: ['console'] },
  disable_existing_loggers: false,
};
