/** Real systems from Debian packages: installed when we are root, run in a folder of their own, ended by pid. */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { markProcess } from '../../src/embedded/processes.js';
import { forgetMark, recordMark, runFolder, startReaper } from '../support/run-folder.js';

export const run = promisify(execFile);

/** Programs of the system live in folders that a plain user's PATH leaves out. */
export const systemEnvironment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin` };

/**
 * Why a system cannot be had here, or undefined when it can. Missing packages are installed when we are root on
 * Debian. With TENURE_TEST_ALLOW_SKIP=0 a reason is an error instead.
 */
export async function reasonToSkip(
  name: string,
  files: readonly string[],
  packages: readonly string[],
): Promise<string | undefined> {
  const reason = await missing(files, packages);
  if (reason !== undefined && process.env['TENURE_TEST_ALLOW_SKIP'] === '0') {
    throw new Error(`must not be skipped: ${name}: ${reason}`);
  }
  return reason === undefined ? undefined : `${name}: ${reason}`;
}

async function missing(files: readonly string[], packages: readonly string[]): Promise<string | undefined> {
  const absent = (): string[] => files.filter((file) => !existsSync(file));
  if (absent().length === 0) {
    return undefined;
  }
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return `${absent().join(', ')} missing; needs root and apt-get to install ${packages.join(' ')}`;
  }
  try {
    await install(packages);
  } catch (error) {
    return `apt-get failed: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`;
  }
  return absent().length === 0 ? undefined : `${absent().join(', ')} missing after the installation`;
}

/** No maintainer script may start a daemon: exit code 101 of policy-rc.d forbids it. */
async function install(packages: readonly string[]): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const env = { ...systemEnvironment, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-qq', ...args], { env, timeout: 300_000 });
  try {
    await apt('update');
    await apt('install', '-y', '--no-install-recommends', ...packages);
  } finally {
    if (isOurs) await rm(policy, { force: true });
  }
}

export interface Daemon {
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/**
 * Starts a program in the foreground and waits until `isReady`. Ends it, and says what it said, when it is not. It does
 * not outlive the test run, however that ends.
 */
export async function startDaemon(
  command: string,
  args: readonly string[],
  logFile: string,
  isReady: () => Promise<boolean>,
): Promise<Daemon> {
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log], env: systemEnvironment });
  closeSync(log);
  let failure = '';
  child.once('error', (error) => (failure = error.message));
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const folder = runFolder();
  const mark = child.pid === undefined ? undefined : await markProcess(child.pid);
  const name = `system-${child.pid}`;
  if (mark !== undefined) {
    startReaper(folder);
    await recordMark(folder, name, mark);
  }
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(late);
    forgetMark(folder, name);
  };
  for (let waited = 0; waited < 40_000 && child.exitCode === null && failure === ''; waited += 100) {
    if (await isReady()) {
      return { stop };
    }
    await delay(100);
  }
  await stop();
  throw new Error(`${command} did not come up: ${failure}${readFileSync(logFile, 'utf8').slice(-600)}`);
}

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** A certificate authority that signed nothing here. */
  readonly otherCa: string;
}

/** A certificate authority, a server certificate for loopback, and one for a client named `tenure-client`; file names. */
export async function makeCertificates(folder: string, names: readonly string[] = []): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args, { env: systemEnvironment });
  const authority = (name: string) =>
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '30',
      '-subj',
      `/CN=Test ${name}`,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.pem`),
    );
  const signed = async (name: string, subject: string, extension: string): Promise<void> => {
    await openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      subject,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.req`),
    );
    await writeFile(at(`${name}.ext`), extension);
    await openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.req`),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-days',
      '30',
      '-set_serial',
      `0x${Buffer.from(name).toString('hex')}`,
      '-extfile',
      at(`${name}.ext`),
      '-out',
      at(`${name}.pem`),
    );
  };
  await Promise.all([authority('ca'), authority('other')]);
  const alternatives = ['DNS:localhost', 'IP:127.0.0.1', ...names].join(',');
  await signed('server', '/CN=localhost', `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\n`);
  await signed('client', '/CN=tenure-client', 'basicConstraints=CA:FALSE\n');
  return {
    ca: at('ca.pem'),
    cert: at('server.pem'),
    key: at('server.key'),
    clientCert: at('client.pem'),
    clientKey: at('client.key'),
    otherCa: at('other.pem'),
  };
}

/** One entry of an LDIF answer; names in lower case, values decoded. */
export interface LdifEntry {
  readonly dn: string;
  readonly values: Readonly<Record<string, readonly string[]>>;
}

/** Reads what `ldapsearch -LLL -o ldif-wrap=no` prints. */
export function parseLdif(text: string): readonly LdifEntry[] {
  return text
    .split(/\n\n+/)
    .filter((block) => /^dn::? /m.test(block))
    .map((block) => {
      const values: Record<string, string[]> = {};
      for (const line of block.split('\n').filter((candidate) => !candidate.startsWith('#'))) {
        const [, name = '', encoded, value = ''] = /^([^:]+):(:?) ?(.*)$/.exec(line) ?? [];
        if (name === '') continue;
        (values[name.toLowerCase()] ??= []).push(encoded === ':' ? Buffer.from(value, 'base64').toString() : value);
      }
      return { dn: values['dn']?.[0] ?? '', values };
    });
}
