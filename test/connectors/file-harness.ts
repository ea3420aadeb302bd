import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { chown, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { fileFactory } from '../../src/connectors/file/index.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import { runFolder } from '../support/run-folder.js';
import type { SftpServer } from '../systems/sftp.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { FaultMode } from './kit/fault-proxy.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

export const header = [
  'id',
  'login',
  'state',
  'tenure',
  'name',
  'department',
  'tags',
  'seats',
  'vip',
  'groups',
  'note',
];
export const snapshotMode = { kind: 'snapshot', file: 'accounts.csv' } as const;

/** The configuration of all file tests: columns of every type, and one that nobody maps (`note`). */
export function fileConfig(place: unknown, changes: Readonly<Record<string, unknown>> = {}) {
  return {
    place,
    mode: snapshotMode,
    format: { delimiter: ';', formulas: 'neutralise', otherColumns: 'keep' },
    accounts: { key: 'id', login: 'login', status: { column: 'state', enabled: 'active', disabled: 'inactive' } },
    attributes: {
      externalId: 'tenure',
      displayName: { column: 'name', required: true },
      department: 'department',
      tags: { column: 'tags', type: 'strings', separator: '|' },
      seats: { column: 'seats', type: 'number' },
      vip: { column: 'vip', type: 'boolean' },
    },
    entitlements: { column: 'groups', separator: '|', names: ['staff', 'finance'] },
    ...changes,
  };
}

export function sftpPlace(server: SftpServer, changes: Readonly<Record<string, unknown>> = {}) {
  const auth = { method: 'key', key: `file:${server.keys.own}` };
  const base = { kind: 'sftp', host: '127.0.0.1', port: server.port, user: server.user, folder: '/inbox' };
  return { ...base, auth, hostKeys: [server.hostKey], ...changes };
}

export function fileConnector(config: unknown, env: Readonly<Record<string, string>> = {}): Connector {
  return fileFactory.create('x', config, { secrets: createSecretResolver(env), logger: newContext().logger });
}

/** The oracle's own reader of a file, with nothing of the connector or of its libraries. */
export function readCsv(text: string, delimiter = ';'): string[][] {
  const rows: string[][] = [];
  let [row, cell, quoted]: [string[], string, boolean] = [[], '', false];
  const chars = [...text];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at]!;
    if (quoted) {
      if (char !== '"') cell += char;
      else if (chars[at + 1] === '"') cell += chars[(at += 1)];
      else quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === delimiter) [row, cell] = [[...row, cell], ''];
    else if (char === '\n') {
      rows.push([...row, cell]);
      [row, cell] = [[], ''];
    } else if (char !== '\r') cell += char;
  }
  return rows;
}

export function writeCsv(rows: readonly (readonly string[])[], delimiter = ';'): string {
  return rows.map((row) => `${row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(delimiter)}\n`).join('');
}

/** An empty accounts file in a folder of its own. */
export async function localFolder(): Promise<string> {
  const folder = await mkdtemp(join(runFolder(), 'files-'));
  await writeFile(join(folder, 'accounts.csv'), writeCsv([header]));
  return folder;
}

export async function localHarness(): Promise<Harness> {
  const folder = await localFolder();
  const config = fileConfig({ kind: 'local', folder });
  return {
    ...(await baseHarness('file, local', folder, config)),
    unreachable: () => fileConnector(fileConfig({ kind: 'local', folder: join(folder, 'missing') })),
  };
}

export async function sftpHarness(server: SftpServer): Promise<Harness> {
  await writeFile(join(server.inbox, 'accounts.csv'), writeCsv([header]));
  const file = join(server.inbox, 'accounts.csv');
  const base = await baseHarness('file, SFTP', server.inbox, fileConfig(sftpPlace(server)));
  return {
    ...base,
    unreachable: () => fileConnector(fileConfig(sftpPlace(server, { port: 9 }))),
    wrongCredential: () =>
      fileConnector(fileConfig(sftpPlace(server, { auth: { method: 'key', key: `file:${server.keys.stranger}` } }))),
    throughProxy: async () => {
      let before = statSync(file).ino;
      const isReplaced = (): boolean => statSync(file).ino !== before;
      // What is in the new file has been sent, its name has not been changed yet.
      const isAboutToReplace = (): boolean =>
        readdirSync(server.inbox).some((name) => /^accounts\.csv\..*\.part$/.test(name));
      const isWrite = (_bytes: Buffer, mode: FaultMode): boolean => mode === 'reset-before' && isAboutToReplace();
      const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port }, isWrite, isReplaced);
      const connector = fileConnector(fileConfig(sftpPlace(server, { port: proxy.port })));
      return {
        connector,
        fail: (mode) => {
          before = statSync(file).ino;
          proxy.fail(mode);
        },
        close: async () => {
          await connector.close();
          await proxy.close();
        },
      };
    },
    stop: async () => {
      await base.connector.close();
      await server.stop();
    },
  };
}

async function baseHarness(name: string, folder: string, config: ReturnType<typeof fileConfig>): Promise<Harness> {
  const connector = fileConnector(config);
  const file = join(folder, 'accounts.csv');
  const owner = await stat(file);
  const rows = async (): Promise<string[][]> => readCsv(await readFile(file, 'utf8'));
  const change = async (nativeId: string, column: string, value: string): Promise<void> => {
    const changed = (await rows()).map((row) =>
      row[0] === nativeId ? row.map((cell, at) => (header[at] === column ? value : cell)) : row,
    );
    await writeFile(`${file}.planted`, writeCsv(changed));
    await chown(`${file}.planted`, owner.uid, owner.gid);
    await rename(`${file}.planted`, file);
  };
  return {
    name,
    connector,
    factory: fileFactory,
    committed: committedCapabilities('file', 'entitlements'),
    wrongConfig: {
      config: { ...config, place: { kind: 'local', folder: 'relative' }, lock: { graceMs: 1 }, adoptionKey: 'nope' },
      paths: ['place.folder', 'lock.graceMs'],
    },
    sampleAccount: () => {
      const attributes: Attributes = { displayName: 'Sample Person', department: 'Research', seats: -3, vip: true };
      return { objectClass: 'account', login: `u${randomUUID().slice(0, 13)}`, enabled: true, attributes };
    },
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien; <b>王秀英</b>\r\nsecond, line`,
      department: `=cmd|' /C calc'!A0${'x'.repeat(3000)}`,
      tags: ["'=1+1", 'c"d;e', ' leading + blank'],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'tags',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '00000000-0000-4000-8000-000000000000',
    group: 'staff',
    peek: async (ref) => peeked((await rows()).find((row) => row[0] === ref.nativeId)),
    countByLogin: async (login) => (await rows()).filter((row) => row[1] === login).length,
    snapshot: () => readFile(file, 'utf8'),
    plant: {
      attribute: (ref, value) => change(ref.nativeId, 'department', value),
      enabled: (ref, enabled) => change(ref.nativeId, 'state', enabled ? 'active' : 'inactive'),
      membership: (ref, held) => change(ref.nativeId, 'groups', held ? 'staff' : ''),
    },
    stop: async () => {
      await connector.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function peeked(row: readonly string[] | undefined): Peeked | undefined {
  if (row === undefined) return undefined;
  const cell = (column: string): string => row[header.indexOf(column)] ?? '';
  const list = (column: string): string[] =>
    cell(column)
      .split('|')
      .filter((item) => item !== '');
  if (!['active', 'inactive'].includes(cell('state'))) throw new Error('the status is neither');
  const all: Attributes = {
    externalId: cell('tenure'),
    displayName: cell('name'),
    department: cell('department'),
    tags: list('tags'),
    ...(cell('seats') === '' ? {} : { seats: Number(cell('seats')) }),
    ...(cell('vip') === '' ? {} : { vip: cell('vip') === 'true' }),
  };
  return { login: cell('login'), enabled: cell('state') === 'active', attributes: all, entitlements: list('groups') };
}
