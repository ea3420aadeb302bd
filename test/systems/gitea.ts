/** Gitea (Go modules), with SQLite in a folder of its own, its own SSH server, and one administrator; on loopback ports. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ssh from 'ssh2';
import { freePort } from '../../src/embedded/processes.js';
import { runFolder } from '../support/run-folder.js';
import { run, startDaemon, systemEnvironment } from './debian.js';
import { goProgram } from './go-build.js';
import type { GoBuild } from './go-build.js';

const version = '1.25.2';
const main = 'code.gitea.io/gitea';

export const giteaProgram = {
  name: `gitea-${version}`,
  package: main,
  require: { [main]: `v${version}` },
  // The replacements of Gitea's own go.mod.
  replace: {
    'github.com/jaytaylor/html2text': 'github.com/Necoro/html2text v0.0.0-20250804200300-7bf1ce1c7347',
    'github.com/hashicorp/go-version': 'github.com/6543/go-version v1.3.1',
    'github.com/nektos/act': 'gitea.com/gitea/act v0.261.7-0.20251003180512-ac6e4b751763',
    'git.sr.ht/~mariusor/go-xsd-duration': 'gitea.com/gitea/go-xsd-duration v0.0.0-20220703122237-02e73435a078',
  },
  tags: 'sqlite sqlite_unlock_notify',
  env: { CGO_ENABLED: '1' },
  variables: { 'main.Version': version },
  files: { module: main, folders: ['templates', 'options', 'public'] },
} as const;

/** The program, built before or now (TENURE_CI_FULL=1), or why there is none. */
export function giteaBuild(): Promise<GoBuild> {
  return goProgram(giteaProgram);
}

export interface GiteaAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface Gitea {
  readonly baseUrl: string;
  readonly administrator: { readonly user: string; readonly password: string };
  /** The oracle: the API below `/api/v1` as the administrator, or with another Authorization header. */
  call(method: string, path: string, body?: unknown, authorization?: string): Promise<GiteaAnswer>;
  /** Whether Gitea's SSH server lets the holder of this private key in. */
  opensSsh(privateKey: string): Promise<boolean>;
  stop(): Promise<void>;
}

/** Starts an empty server whose administrator comes from Gitea's own command line. */
export async function startGitea(program: string): Promise<Gitea> {
  const folder = await mkdtemp(join(runFolder(), 'gitea-'));
  await mkdir(join(folder, 'data'));
  const [port, sshPort] = [await freePort(), await freePort()];
  const settings = join(folder, 'app.ini');
  await writeFile(settings, settingsOf(folder, join(dirname(program), 'files'), port, sshPort));
  const administrator = { user: 'administrator', password: 'password-of-the-administrator' };
  const { user, password } = administrator;
  const env = { ...systemEnvironment, HOME: folder };
  const created = ['--admin', '--username', user, '--password', password, '--email', 'administrator@example.test'];
  await run(program, ['migrate', '--config', settings], { env, cwd: folder, timeout: 120_000 });
  await run(program, ['admin', 'user', 'create', ...created, '--must-change-password=false', '--config', settings], {
    env,
    cwd: folder,
    timeout: 120_000,
  });
  const baseUrl = `http://127.0.0.1:${port}`;
  const daemon = await startDaemon(
    '/usr/bin/env',
    [`HOME=${folder}`, program, 'web', '--config', settings],
    join(folder, 'gitea.log'),
    () =>
      fetch(`${baseUrl}/api/v1/version`).then(
        (answer) => answer.ok,
        () => false,
      ),
  );
  const own = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return {
    baseUrl,
    administrator,
    call: async (method, path, body, authorization = own) => {
      const answer = await fetch(`${baseUrl}/api/v1${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    },
    opensSsh: (privateKey) => opensSsh(sshPort, privateKey),
    stop: async () => {
      await daemon.stop();
      await chmod(folder, 0o700);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function opensSsh(port: number, privateKey: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const client = new ssh.Client();
    client.once('ready', () => {
      client.end();
      resolve(true);
    });
    client.once('error', (error: Error & { readonly level?: string }) => {
      client.end();
      // Refused keys are an answer; a server that cannot be reached is none.
      if (error.level === 'client-authentication') resolve(false);
      else reject(error);
    });
    client.connect({ host: '127.0.0.1', port, username: 'git', privateKey, readyTimeout: 20_000 });
  });
}

function settingsOf(folder: string, files: string, port: number, sshPort: number): string {
  const isRoot = process.getuid?.() === 0;
  return `${isRoot ? '; Only ever a test in a folder of its own.\nI_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\n' : ''}RUN_MODE = prod
WORK_PATH = ${folder}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
STATIC_ROOT_PATH = ${files}
APP_DATA_PATH = ${join(folder, 'data')}
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_LISTEN_HOST = 127.0.0.1
SSH_LISTEN_PORT = ${sshPort}
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = ${join(folder, 'data', 'gitea.db')}
[security]
INSTALL_LOCK = true
; Quick hashes: these passwords protect nothing.
PASSWORD_HASH_ALGO = pbkdf2_v1
SECRET_KEY = secret-key-of-the-tests
[service]
DISABLE_REGISTRATION = true
[cron.update_checker]
ENABLED = false
[log]
MODE = console
LEVEL = Error
`;
}
