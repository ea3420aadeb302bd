import { randomUUID } from 'node:crypto';
import { chown, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountSpec } from '../../src/connectors/connector.js';
import {
  fileConfig,
  fileConnector,
  header,
  localFolder,
  sftpPlace,
  writeCsv,
} from '../../test/connectors/file-harness.js';
import { startTestErp } from '../../test/connectors/sql-harness.js';
import { mariadbHarness } from '../../test/connectors/sql-mariadb-harness.js';
import { reasonToSkipMariaDb, startMariaDb } from '../../test/systems/mariadb.js';
import { reasonToSkipSftp, startSftp } from '../../test/systems/sftp.js';
import { localFiles, remoteFiles } from './files.js';
import { mariadbLibrary, postgresLibrary } from './libraries.js';
import type { Kind } from './subject.js';

export const postgres: Kind = {
  name: 'sql-postgres',
  connector: 'sql',
  system: 'Postgres',
  reasonToSkip: () => Promise.resolve(undefined),
  async start() {
    const erp = await startTestErp();
    const connector = erp.connector();
    return {
      connector,
      library: postgresLibrary(erp.serviceUrl),
      sample: () => person('u_'),
      group: 'ledger',
      stop: async () => {
        await connector.close();
        await erp.stop();
      },
    };
  },
};

export const mariadb: Kind = {
  name: 'sql-mariadb',
  connector: 'sql',
  system: 'MariaDB',
  reasonToSkip: reasonToSkipMariaDb,
  async start() {
    const server = await startMariaDb();
    const { connector, sampleAccount, group, stop } = mariadbHarness(server);
    const { host, port, service } = server;
    const strings = { supportBigNumbers: true, bigNumberStrings: true, dateStrings: true } as const;
    const options = { host, port, ...service, database: 'erp', charset: 'utf8mb4', ...strings };
    // MAINTENANCE: what src/connectors/sql/drivers/mariadb.ts says to every new connection.
    const session = [
      `set session sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES')`,
      'set session transaction isolation level read committed',
    ];
    return { connector, library: await mariadbLibrary(options, session), sample: sampleAccount, group, stop };
  },
};

/** People who are in the file all the time. */
const POPULATION = 200;
const OWN = 'by-hand.csv';

export const localFile: Kind = {
  name: 'file-local',
  connector: 'file',
  system: 'local folder, 200 rows',
  reasonToSkip: () => Promise.resolve(undefined),
  async start() {
    const folder = await localFolder();
    await populate(folder);
    const connector = fileConnector(fileConfig({ kind: 'local', folder }));
    const library = await localFiles(folder, OWN);
    return { connector, library, ...fileSubject, stop: () => connector.close() };
  },
};

export const remoteFile: Kind = {
  name: 'file-sftp',
  connector: 'file',
  system: 'OpenSSH sshd, 200 rows',
  reasonToSkip: reasonToSkipSftp,
  async start() {
    const server = await startSftp();
    await populate(server.inbox);
    const connector = fileConnector(fileConfig(sftpPlace(server)));
    const { port, user: username, keys } = server;
    const access = { host: '127.0.0.1', port, username, privateKey: await readFile(keys.own) };
    const stop = async (): Promise<void> => {
      await connector.close();
      await server.stop();
    };
    return { connector, library: await remoteFiles(access, OWN), ...fileSubject, stop };
  },
};

const fileSubject = {
  sample: () => person('u'),
  group: 'staff',
  isCopy: true,
} as const;

async function populate(folder: string): Promise<void> {
  const row = (serial: number): string[] => {
    const cells: Record<string, string> = {
      id: randomUUID(),
      login: `person-${serial}`,
      state: 'active',
      name: `Person ${serial}`,
      department: 'Research',
      groups: 'staff',
    };
    return header.map((name) => cells[name] ?? '');
  };
  const text = writeCsv([header, ...Array.from({ length: POPULATION }, (_, index) => row(index))]);
  const { uid, gid } = await stat(folder);
  for (const name of ['accounts.csv', OWN]) {
    await writeFile(join(folder, name), text);
    await chown(join(folder, name), uid, gid);
  }
}

function person(prefix: string): AccountSpec {
  const login = `${prefix}${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes = { displayName: 'Sample Person', department: 'Research' };
  return { objectClass: 'account', login, enabled: true, attributes };
}
