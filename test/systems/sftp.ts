/** OpenSSH sshd (Debian): SFTP only, one chrooted user with a key and a password, in a folder and on a port of its own. */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
import { runFolder } from '../support/run-folder.js';
import { reasonToSkip, run, startDaemon, systemEnvironment } from './debian.js';

const user = 'tenure-sftp-test';
const password = 'sftp-secret-of-the-tests';

export interface SftpServer {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Private keys: ours, ours with a passphrase, and one that the server does not know. File names. */
  readonly keys: { readonly own: string; readonly locked: string; readonly stranger: string };
  readonly passphrase: string;
  /** SHA256:… of the server's key, as ssh-keygen prints it. */
  readonly hostKey: string;
  /** Where the user's `inbox` really is; the oracle reads here. */
  readonly inbox: string;
  /** Lines of the server's log. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Why sshd cannot be had here, or undefined when it can. */
export async function reasonToSkipSftp(): Promise<string | undefined> {
  const files = ['/usr/sbin/sshd', '/usr/bin/ssh-keygen', '/usr/bin/openssl'];
  const reason = await reasonToSkip('sshd', files, ['openssh-server', 'openssh-client', 'openssl']);
  if (reason !== undefined || process.getuid?.() === 0) return reason;
  if (process.env['TENURE_TEST_ALLOW_SKIP'] === '0') throw new Error('must not be skipped: sshd: needs root');
  return 'sshd: a chroot needs root';
}

/** Starts a server with fresh keys and an empty `inbox`. */
export async function startSftp(): Promise<SftpServer> {
  const folder = await mkdtemp(join(runFolder(), 'sshd-'));
  const port = await freePort();
  const at = (name: string): string => join(folder, name);
  const { uid, gid } = await ensureUser();
  const inbox = at('chroot/inbox');
  await mkdir(inbox, { recursive: true });
  await mkdir('/run/sshd', { recursive: true });
  await chmod(at('chroot'), 0o755);
  await chown(at('chroot'), 0, 0);
  await chown(inbox, uid, gid);
  const passphrase = 'passphrase-of-the-tests';
  const keygen = (name: string, phrase = '') =>
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', phrase, '-f', at(name)]);
  await Promise.all([keygen('host'), keygen('own'), keygen('locked', passphrase), keygen('stranger')]);
  const publicKeys = await Promise.all(['own.pub', 'locked.pub'].map((name) => readFile(at(name), 'utf8')));
  // Read by a command as root: the user may not enter our folder.
  await writeFile(at('authorized'), publicKeys.join(''), { mode: 0o644 });
  const { stdout } = await run('ssh-keygen', ['-lf', at('host.pub')]);
  const isSafe = await isSafePath(at('chroot'));
  await writeFile(at('sshd_config'), configuration(folder, port, isSafe ? at('chroot') : '/srv'));
  const sshd = ['/usr/sbin/sshd', '-D', '-e', '-f', at('sshd_config')];
  // sshd refuses a chroot below a folder that others may write: then it sees it somewhere else, in a view of its own.
  const mount = ['-m', '--propagation', 'private', 'bash', '-c', 'mount --bind "$0" /srv && exec "$@"', at('chroot')];
  const [command = '', ...args] = isSafe ? sshd : ['unshare', ...mount, ...sshd];
  const isReady = () =>
    run('ssh-keyscan', ['-p', String(port), '-t', 'ed25519', '127.0.0.1'], { env: systemEnvironment }).then(
      (scan) => scan.stdout.includes('ed25519'),
      () => false,
    );
  const daemon = await startDaemon(command, args, at('sshd.log'), isReady);
  return {
    port,
    user,
    password,
    keys: { own: at('own'), locked: at('locked'), stranger: at('stranger') },
    passphrase,
    hostKey: /SHA256:\S+/.exec(stdout)?.[0] ?? '',
    inbox,
    log: () => readFile(at('sshd.log'), 'utf8'),
    stop: async () => {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A system user that cannot log in otherwise; stays on the machine. */
async function ensureUser(): Promise<{ uid: number; gid: number }> {
  const options = { env: systemEnvironment };
  const number = async (flag: string): Promise<number> => Number((await run('id', [flag, user])).stdout);
  const exists = await number('-u').catch(() => undefined);
  if (exists === undefined) {
    const hash = (await run('openssl', ['passwd', '-6', password])).stdout.trim();
    const details = ['--system', '--user-group', '--no-create-home', '--home-dir', '/', '--shell', '/usr/sbin/nologin'];
    // Another suite may make the same user at the same moment.
    await run('useradd', [...details, '-p', hash, user], options).catch(() => undefined);
  }
  return { uid: await number('-u'), gid: await number('-g') };
}

async function isSafePath(path: string): Promise<boolean> {
  const { mode, uid } = await stat(path);
  if (uid !== 0 || (mode & 0o022) !== 0) return false;
  return path === '/' || isSafePath(dirname(path));
}

function configuration(folder: string, port: number, chroot: string): string {
  return `ListenAddress 127.0.0.1:${port}
HostKey ${folder}/host
PidFile ${folder}/sshd.own.pid
AuthorizedKeysFile none
AuthorizedKeysCommand /bin/cat ${folder}/authorized
AuthorizedKeysCommandUser root
StrictModes no
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers ${user}
AllowTcpForwarding no
X11Forwarding no
PermitTunnel no
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp -l INFO
ForceCommand internal-sftp -l INFO
ChrootDirectory ${chroot}
`;
}
