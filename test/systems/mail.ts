/** A mail system from Debian packages: Exim takes mail by SMTP, Dovecot keeps it (LMTP, IMAP, ManageSieve, doveadm over HTTP). Root only. */
import { readFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
import { runFolder } from '../support/run-folder.js';
import type { Certificates } from './debian.js';
import { makeCertificates, reasonToSkip, run, startDaemon } from './debian.js';

export const mailDomain = 'corp.test';
export const mailMaster = { user: 'tenure', password: 'master-secret-of-the-tests' } as const;
export const doveadmKey = 'doveadm-key-of-the-tests';

export interface MailSystem {
  readonly ports: Readonly<Record<'smtp' | 'lmtp' | 'imap' | 'sieve' | 'doveadm', number>>;
  readonly certificates: Certificates;
  readonly caText: string;
  /** The URI of the dictionary in which closed mailboxes are written. */
  readonly dict: string;
  /** The directory's job: a mailbox and its password. */
  addUser(address: string, password: string): Promise<void>;
  removeUser(address: string): Promise<void>;
  /** Whom the directory names. */
  users(): Promise<readonly string[]>;
  /** What an administrator of the server does by hand with `doveadm dict`. */
  close(address: string, closed: boolean): Promise<void>;
  /** The oracle: what the server itself keeps in its files. */
  closedKeys(): Promise<readonly string[]>;
  /** A person's Sieve scripts as files, and which one is active. */
  scripts(address: string): Promise<{ readonly active: string | undefined; readonly texts: Record<string, string> }>;
  /** The raw messages of a mailbox's INBOX. */
  messages(address: string): Promise<readonly string[]>;
  /** All mailboxes, closings and scripts, as text. */
  snapshot(): Promise<string>;
  stop(): Promise<void>;
}

/** Why the mail system cannot be had here, or undefined when it can. */
export async function reasonToSkipMail(): Promise<string | undefined> {
  const files = ['/usr/sbin/dovecot', '/usr/sbin/exim4', '/usr/lib/dovecot/managesieve', '/usr/lib/dovecot/lmtp'];
  const packages = ['dovecot-imapd', 'dovecot-lmtpd', 'dovecot-sieve', 'dovecot-managesieved', 'exim4-daemon-light'];
  if (process.getuid?.() !== 0) return 'mail: Dovecot and Exim need root';
  return reasonToSkip('mail', [...files, '/usr/bin/openssl'], [...packages, 'openssl']);
}

export async function startMail(): Promise<MailSystem> {
  const folder = await mkdtemp(join(runFolder(), 'mail-'));
  const ports = {
    smtp: await freePort(),
    lmtp: await freePort(),
    imap: await freePort(),
    sieve: await freePort(),
    doveadm: await freePort(),
  };
  const certificates = await makeCertificates(join(folder, 'tls'));
  for (const name of ['run', 'state', 'mail', 'dict', 'spool', 'log']) await mkdir(join(folder, name));
  for (const [name, mode] of [['dict', 0o777]] as const) await chmod(join(folder, name), mode);
  await run('chown', ['mail', join(folder, 'mail')]);
  await run('chown', ['Debian-exim', join(folder, 'spool'), join(folder, 'log')]);
  await chmod(folder, 0o755);
  const users = join(folder, 'users');
  await writeFile(users, '', { mode: 0o644 });
  await writeFile(join(folder, 'masters'), `${mailMaster.user}:{PLAIN}${mailMaster.password}\n`, { mode: 0o644 });
  await writeFile(join(folder, 'closed.conf'), dictConfiguration(folder, 'closed', 'closed/%u', 'passdb'));
  await writeFile(join(folder, 'refused.conf'), dictConfiguration(folder, 'refused', 'refused/%s/%u', 'userdb'));
  await writeFile(join(folder, 'dovecot.conf'), dovecotConfiguration(folder, ports, certificates));
  await writeFile(join(folder, 'exim.conf'), eximConfiguration(folder, ports));
  const dovecot = await startDaemon(
    'dovecot',
    ['-F', '-c', join(folder, 'dovecot.conf')],
    join(folder, 'dovecot.out'),
    async () => (await Promise.all([ports.imap, ports.sieve, ports.doveadm, ports.lmtp].map(isOpen))).every(Boolean),
  );
  const exim = await startDaemon(
    'exim4',
    ['-C', join(folder, 'exim.conf'), '-bdf', '-q5s'],
    join(folder, 'exim.out'),
    () => isOpen(ports.smtp),
  );
  const home = (address: string): string => join(folder, 'mail', address);
  const dictFile = join(folder, 'dict', 'closed');
  const dict = `file:${dictFile}`;
  const dictKeys = async (): Promise<readonly string[]> =>
    (await readFile(dictFile, 'utf8').catch(() => '')).split('\n').filter((line) => line.startsWith('shared/'));
  const addresses = async (): Promise<readonly string[]> =>
    (await readFile(users, 'utf8')).split('\n').flatMap((line) => line.split(':')[0] || []);
  const scripts = async (address: string) => {
    const texts: Record<string, string> = {};
    for (const file of await readdir(join(home(address), 'sieve')).catch(() => [])) {
      if (file.endsWith('.sieve'))
        texts[file.slice(0, -6)] = await readFile(join(home(address), 'sieve', file), 'utf8');
    }
    const active = await readlink(join(home(address), '.dovecot.sieve')).catch(() => undefined);
    return { active: active?.replace(/^.*\//, '').replace(/\.sieve$/, ''), texts };
  };
  return {
    ports,
    certificates,
    caText: readFileSync(certificates.ca, 'utf8'),
    dict,
    addUser: (address, password) => appendFile(users, `${address}:{PLAIN}${password}::::::\n`),
    removeUser: async (address) => {
      const lines = (await readFile(users, 'utf8')).split('\n');
      await writeFile(users, lines.filter((line) => !line.startsWith(`${address}:`)).join('\n'));
    },
    users: addresses,
    close: async (address, closed) => {
      const entry = [dict, `shared/closed/${address}`];
      const change = closed ? ['set', ...entry, '{"nologin":"yes"}'] : ['unset', ...entry];
      await run('doveadm', ['-c', join(folder, 'dovecot.conf'), 'dict', ...change]);
    },
    closedKeys: dictKeys,
    scripts,
    messages: async (address) => {
      const texts: string[] = [];
      for (const box of ['new', 'cur']) {
        const at = join(home(address), 'Maildir', box);
        for (const file of await readdir(at).catch(() => [])) texts.push(await readFile(join(at, file), 'utf8'));
      }
      return texts;
    },
    snapshot: async () => {
      const all = await addresses();
      return JSON.stringify([
        all,
        await readFile(dictFile, 'utf8').catch(() => ''),
        await Promise.all(all.map(scripts)),
      ]);
    },
    stop: async () => {
      await exim.stop();
      await dovecot.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

function dictConfiguration(folder: string, name: string, key: string, what: 'passdb' | 'userdb'): string {
  return `uri = file:${folder}/dict/closed
iterate_disable = yes
key ${name} {
  key = ${key}
  format = json
}
${what}_objects = ${name}
`;
}

function dovecotConfiguration(folder: string, ports: MailSystem['ports'], { cert, key }: Certificates): string {
  return `protocols = imap lmtp sieve
listen = 127.0.0.1
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
ssl = yes
ssl_cert = <${cert}
ssl_key = <${key}
disable_plaintext_auth = no
auth_mechanisms = plain
auth_username_format = %Lu
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@${mailDomain}
submission_host = 127.0.0.1:${ports.smtp}
recipient_delimiter = +
doveadm_api_key = ${doveadmKey}
passdb {
  driver = passwd-file
  args = ${folder}/masters
  master = yes
}
passdb {
  driver = dict
  args = ${folder}/closed.conf
}
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = dict
  args = ${folder}/refused.conf
  result_success = return-fail
}
userdb {
  driver = passwd-file
  args = ${folder}/users
  default_fields = uid=mail gid=mail home=${folder}/mail/%u
}
namespace inbox {
  inbox = yes
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_vacation_min_period = 0
  sieve_redirect_envelope_from = orig_recipient
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  inet_listener imap {
    port = ${ports.imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service managesieve-login {
  inet_listener sieve {
    port = ${ports.sieve}
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${ports.lmtp}
  }
}
service doveadm {
  inet_listener http {
    address = 127.0.0.1
    port = ${ports.doveadm}
  }
}
`;
}

function eximConfiguration(folder: string, ports: MailSystem['ports']): string {
  return `primary_hostname = mail.${mailDomain}
domainlist local_domains = ${mailDomain}
daemon_smtp_ports = ${ports.smtp}
local_interfaces = 127.0.0.1
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
pid_file_path = ${folder}/exim.pid
keep_environment =
tls_advertise_hosts =
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny message = not a mailbox
       domains = +local_domains
      !verify = recipient/callout=10s,no_cache
  accept hosts = 127.0.0.1
  deny
acl_data:
  accept
begin routers
local:
  driver = manualroute
  domains = +local_domains
  route_list = * 127.0.0.1
  self = send
  transport = dovecot
  no_more
begin transports
dovecot:
  driver = smtp
  protocol = lmtp
  port = ${ports.lmtp}
  allow_localhost
  hosts_try_chunking =
begin retry
*  *  F,2m,2s; F,1h,1m
`;
}
