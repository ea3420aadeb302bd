import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { startDaemon } from './daemon.js';
import { makeOnce, ownFile, ownFolder } from './folder.js';
import { ensureDrop } from './payroll-drop.js';
import { findProgram, missingPrograms, outputOf, runProgram } from './programs.js';
import type { Found, RealSystem, SystemContext } from './system.js';

const remedy = 'install it with: apt-get install openssh-server';

/**
 * The payroll drop on OpenSSH: SFTP and nothing else, one key, loopback only. sshd runs as the unprivileged user it lets in, so it needs no root, no
 * account of its own and no chroot: what the key opens is what that user may read.
 */
export const sshd: RealSystem = {
  slug: 'payroll',
  overlay: 'sshd',
  find,
  prepare: async (context) => {
    await ownFolder(context.folder, context.user);
    await makeOnce(join(context.folder, 'server'), context.user, () => provision(context));
    await ensureDrop(context.folder, context.user);
  },
  start: async (context) => {
    const { folder, port, user, logFile, signal } = context;
    const file = join(folder, 'server', 'sshd_config');
    // Written at each start: the port may have moved.
    await ownFile(file, configuration(join(folder, 'server'), port, loginOf(context)), user);
    const command = (await findProgram('sshd')) ?? 'sshd';
    const args = ['-D', '-e', '-f', file];
    const isReady = () => greets(port);
    return startDaemon({ command, args, logFile, user, cwd: folder, isReady, readyWithinMs: 20_000, signal });
  },
  facts: async (context) => {
    const server = join(context.folder, 'server');
    const drop = join(context.folder, 'drop');
    const { stdout } = await runProgram('ssh-keygen', ['-lf', join(server, 'host.pub')]);
    return {
      values: {
        SFTP_PORT: context.port,
        SFTP_USER: loginOf(context),
        SFTP_KEY: `file:${join(server, 'tenure')}`,
        SFTP_HOST_KEY: /SHA256:\S+/.exec(stdout)?.[0] ?? '',
        PAYROLL_FOLDER: drop,
      },
      access: { url: `sftp://${loginOf(context)}@127.0.0.1:${context.port}${drop}`, key: join(server, 'tenure'), drop },
    };
  },
};

async function find(): Promise<Found> {
  const missing = await missingPrograms(['sshd', 'ssh-keygen']);
  if (missing.length > 0) return { missing: `${missing.join(' and ')} not on this machine: ${remedy}` };
  // There is no option that asks for the version alone; a wrong one gives it.
  const said = await outputOf((await findProgram('sshd')) ?? 'sshd', ['-V']);
  return { program: `OpenSSH sshd ${/OpenSSH_([\w.]+)/.exec(said)?.[1] ?? '(version unknown)'}` };
}

async function provision({ folder, user }: SystemContext): Promise<void> {
  const server = join(folder, 'server');
  for (const name of ['host', 'tenure']) {
    const args = ['-q', '-t', 'ed25519', '-N', '', '-C', `tenure sandbox ${name}`, '-f', join(server, name)];
    await runProgram('ssh-keygen', args, { user, cwd: server });
  }
  await ownFile(join(server, 'authorized'), await readFile(join(server, 'tenure.pub'), 'utf8'), user);
}

function loginOf({ user }: SystemContext): string {
  return user?.name ?? userInfo().username;
}

function configuration(server: string, port: number, login: string): string {
  return `ListenAddress 127.0.0.1:${port}
HostKey ${server}/host
PidFile none
AuthorizedKeysFile ${server}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers ${login}
DisableForwarding yes
MaxStartups 100
LogLevel INFO
Subsystem sftp internal-sftp
ForceCommand internal-sftp
`;
}

/** Whether an SSH server greets there. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 2_000 });
    const end = (greeted: boolean): void => {
      socket.destroy();
      resolve(greeted);
    };
    socket.once('data', (data) => end(data.toString().startsWith('SSH-2.0')));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('close', () => resolve(false));
  });
}
