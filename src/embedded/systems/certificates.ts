import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OsUser } from '../os-user.js';
import { runProgram } from './programs.js';

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly folder: string;
  /** File names without ending: `NAME.pem` and `NAME.key`. */
  readonly name: string;
  readonly days: number;
  /** Who runs openssl, and owns what it makes. */
  readonly user?: OsUser | undefined;
}

/** A self-signed certificate authority made by openssl in `folder`. */
export async function makeAuthority({ folder, name, days, user }: Authority): Promise<void> {
  await mkdir(folder, { recursive: true });
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)];
  const subject = ['-subj', `/CN=Sandbox ${name}`, '-days', String(days)];
  await runProgram('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...files], { user });
}

/** A certificate `NAME.pem` with its key, signed by the authority; `extensions` in openssl's words. */
export async function makeSigned(
  { folder, name: authority, days, user }: Authority,
  name: string,
  subject: string,
  extensions: string,
): Promise<void> {
  const at = (file: string): string => join(folder, file);
  await writeFile(at(`${name}.ext`), extensions, { mode: 0o644 });
  const request = ['-keyout', at(`${name}.key`), '-out', at(`${name}.req`)];
  await runProgram('openssl', ['req', '-newkey', 'rsa:2048', '-nodes', '-subj', subject, ...request], { user });
  const signer = ['-CA', at(`${authority}.pem`), '-CAkey', at(`${authority}.key`), '-days', String(days)];
  const serial = ['-set_serial', `0x${Buffer.from(name).toString('hex')}`, '-extfile', at(`${name}.ext`)];
  await runProgram(
    'openssl',
    ['x509', '-req', '-in', at(`${name}.req`), ...signer, ...serial, '-out', at(`${name}.pem`)],
    {
      user,
    },
  );
}

/** The extensions of a server certificate for loopback. */
export function loopbackServer(names: readonly string[] = []): string {
  const alternatives = ['DNS:localhost', 'IP:127.0.0.1', ...names].join(',');
  return `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\n`;
}
