/** FreeRADIUS (Debian) on ports of its own: rows from a Postgres database by rlm_sql, passwords from slapd by rlm_ldap, and a gateway that takes Disconnect-Requests. */
import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { acquirePostgres } from '../support/stack.js';
import { runFolder } from '../support/run-folder.js';
import { reasonToSkip, run, startDaemon, systemEnvironment } from './debian.js';
import type { OpenLdap } from './openldap.js';

const raddb = '/etc/freeradius/3.0';
export const radiusSecret = 'shared-secret-of-the-tests';
const servicePassword = 'service-of-the-tests';

export interface FreeRadius {
  readonly authPort: number;
  readonly gatewayPort: number;
  /** Tenure's role, with exactly the grants of docs/connectors/radius.md. */
  readonly serviceUrl: string;
  /** The oracle: the database's owner. */
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** FreeRADIUS' own client; what it prints. */
  client(kind: 'auth' | 'acct', attributes: string): Promise<string>;
  /** Kills the server; the gateway goes with it. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export function reasonToSkipFreeRadius(): Promise<string | undefined> {
  const files = [
    '/usr/sbin/freeradius',
    '/usr/bin/radclient',
    '/usr/lib/freeradius/rlm_sql_postgresql.so',
    '/usr/lib/freeradius/rlm_ldap.so',
  ];
  const packages = ['freeradius', 'freeradius-utils', 'freeradius-postgresql', 'freeradius-ldap'];
  return reasonToSkip('freeradius', files, packages);
}

export async function startFreeRadius(directory?: OpenLdap): Promise<FreeRadius> {
  const folder = await mkdtemp(join(runFolder(), 'freeradius-'));
  const unique = randomUUID().replaceAll('-', '');
  const { adminUrl } = await acquirePostgres();
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`create database radius_${unique}`);
  await admin.query(`create role radius_${unique} login password '${servicePassword}'`);
  await admin.end();
  const owned = new URL(adminUrl);
  owned.pathname = `/radius_${unique}`;
  const owner = new pg.Pool({ connectionString: owned.href, max: 2 });
  owner.on('error', () => undefined);
  await owner.query(await readFile(join(raddb, 'mods-config/sql/main/postgresql/schema.sql'), 'utf8'));
  await owner.query(content(`radius_${unique}`));
  const service = new URL(owned);
  service.username = `radius_${unique}`;
  service.password = servicePassword;
  const [authPort, acctPort, gatewayPort] = [await freeUdpPort(), await freeUdpPort(), await freeUdpPort()];
  await mkdir(join(folder, 'run'));
  await writeFile(join(folder, 'dictionary'), 'ATTRIBUTE Tenure-Key 3001 string\n');
  const ports = { auth: authPort, acct: acctPort, gateway: gatewayPort };
  await writeFile(join(folder, 'radiusd.conf'), configuration(folder, owned, ports, directory));
  const client: FreeRadius['client'] = async (kind, attributes) => {
    const file = join(folder, `request-${randomUUID()}`);
    await writeFile(file, `${attributes}\n`);
    const port = kind === 'auth' ? authPort : acctPort;
    const args = ['-x', '-t', '5', '-r', '2', '-f', file, `127.0.0.1:${port}`, kind, radiusSecret];
    // radclient fails on a reject; what was answered stands on its output.
    return run('radclient', args, { env: systemEnvironment }).then(
      ({ stdout }) => stdout,
      (error: unknown) => String((error as { stdout?: unknown }).stdout),
    );
  };
  const ping = async () => (await client('auth', 'User-Name = "nobody", User-Password = "none"')).includes('Received');
  const args = ['-d', folder, '-f', '-l', 'stdout', ...(process.env['TENURE_TEST_LOG'] === 'debug' ? ['-X'] : [])];
  const daemon = await startDaemon('freeradius', args, join(folder, 'freeradius.log'), ping);
  return {
    authPort,
    gatewayPort,
    serviceUrl: service.href,
    query: async (text, values = []) => (await owner.query<Record<string, unknown>>(text, [...values])).rows,
    client,
    kill: () => daemon.stop(),
    stop: async () => {
      await daemon.stop();
      await owner.end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

function content(service: string): string {
  return `
    insert into radgroupreply (groupname, attribute, op, value) values ('vpn-staff', 'Session-Timeout', ':=', '3600');
    create table gateway_session (id text primary key, refuses boolean not null default false);
    grant usage on schema public to ${service};
    grant select, insert, delete on radcheck, radreply, radusergroup to ${service};
    grant usage on sequence radcheck_id_seq, radreply_id_seq, radusergroup_id_seq to ${service};
    grant select on radgroupcheck, radgroupreply, radacct to ${service};`;
}

function configuration(
  folder: string,
  database: URL,
  ports: { readonly auth: number; readonly acct: number; readonly gateway: number },
  directory: OpenLdap | undefined,
): string {
  const listen = (type: string, port: number, server: string): string =>
    `listen {\n type = ${type}\n ipaddr = 127.0.0.1\n port = ${port}\n virtual_server = ${server}\n}\n`;
  const askDirectory = `
    if (!&control:SSHA2-512-Password) {
      ldap
      if (ok || updated) {
        update control {
          Auth-Type := LDAP
        }
      }
    }`;
  return `
prefix = /usr
name = freeradius
confdir = ${folder}
logdir = ${folder}
raddbdir = ${folder}
run_dir = ${folder}/run
libdir = /usr/lib/freeradius
pidfile = ${folder}/run/pid
log {
  destination = stdout
}
security {
  reject_delay = 0
  status_server = yes
}
thread pool {
  start_servers = 2
  max_servers = 8
  min_spare_servers = 1
  max_spare_servers = 2
}
client loopback {
  ipaddr = 127.0.0.1
  secret = ${radiusSecret}
  require_message_authenticator = no
}
modules {
  pap {
    normalise = yes
  }
  expr {
  }
  always reject {
    rcode = reject
  }
  always ok {
    rcode = ok
  }
  sql {
    dialect = "postgresql"
    driver = "rlm_sql_postgresql"
    radius_db = "host=${database.hostname} port=${database.port} dbname=${database.pathname.slice(1)} user=${database.username} password=${database.password}"
    client_table = "nas"
    acct_table1 = "radacct"
    acct_table2 = "radacct"
    postauth_table = "radpostauth"
    authcheck_table = "radcheck"
    groupcheck_table = "radgroupcheck"
    authreply_table = "radreply"
    groupreply_table = "radgroupreply"
    usergroup_table = "radusergroup"
    read_groups = yes
    group_attribute = "SQL-Group"
    pool {
      start = 1
      min = 1
      max = 6
      spare = 1
      retry_delay = 1
    }
    $INCLUDE ${raddb}/mods-config/sql/main/postgresql/queries.conf
  }
${
  directory === undefined
    ? ''
    : `  ldap {
    server = "ldap://127.0.0.1:${directory.port}"
    identity = "${directory.service.dn}"
    password = "${directory.service.password}"
    base_dn = "ou=people,${directory.suffix}"
    user {
      base_dn = "ou=people,${directory.suffix}"
      filter = "(uid=%{User-Name})"
    }
    options {
      net_timeout = 5
    }
    pool {
      start = 1
      min = 1
      max = 4
      spare = 1
    }
  }`
}
}
instantiate {
  expr
}
server tenure {
  ${listen('auth', ports.auth, 'tenure')}
  ${listen('acct', ports.acct, 'tenure')}
  authorize {
    sql
    ${directory === undefined ? '' : askDirectory}
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    ${directory === undefined ? '' : 'Auth-Type LDAP {\n      ldap\n    }'}
  }
  preacct {
    update request {
      Acct-Unique-Session-Id := "%{md5:%{User-Name},%{Acct-Session-Id},%{NAS-IP-Address}}"
    }
  }
  accounting {
    sql
  }
  post-auth {
    update reply {
      Message-Authenticator := 0x00
    }
    if (SQL-Group == "tenure-denied" || SQL-Group == "tenure-sealed") {
      update reply {
        Reply-Message := "tenure:account-disabled"
      }
      reject
    }
    elsif (!(SQL-Group == "tenure-admitted")) {
      reject
    }
    Post-Auth-Type REJECT {
      update reply {
        Message-Authenticator := 0x00
      }
    }
  }
}
server gateway {
  ${listen('coa', ports.gateway, 'gateway')}
  recv-coa {
    if ("%{sql:select count(*) from gateway_session where id = '%{Acct-Session-Id}' and not refuses}" == "1") {
      if ("%{sql:delete from gateway_session where id = '%{Acct-Session-Id}'}" == "1") {
        update control {
          Tmp-String-0 := "%{sql:update radacct set acctstoptime = now(), acctterminatecause = 'Admin-Reset' where acctsessionid = '%{Acct-Session-Id}' and acctstoptime is null}"
        }
      }
      ok
    }
    else {
      reject
    }
  }
  send-coa {
    # No Message-Authenticator: this version computes one here that its own radclient refuses.
    ok
  }
}
`;
}
