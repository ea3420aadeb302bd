import { appendFile, chmod, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Connector, OperationContext } from '../../src/connectors/connector.js';
import { fileConfigSchema } from '../../src/connectors/file/config.js';
import { createFileConnector } from '../../src/connectors/file/index.js';
import { localStore } from '../../src/connectors/file/local-store.js';
import type { FileStore } from '../../src/connectors/file/store.js';
import { StoreFailure } from '../../src/connectors/file/store.js';
import type { SftpServer } from '../systems/sftp.js';
import { reasonToSkipSftp, startSftp } from '../systems/sftp.js';
import {
  fileConfig,
  fileConnector,
  header,
  localFolder,
  readCsv,
  sftpPlace,
  snapshotMode,
  writeCsv,
} from './file-harness.js';
import { newContext } from './kit/checks.js';

const row = (id: string, login: string, state = 'active', more: Readonly<Record<string, string>> = {}): string[] => {
  const cells: Readonly<Record<string, string>> = {
    id,
    login,
    state,
    tenure: `t-${id}`,
    name: 'Sample',
    note: 'kept',
    ...more,
  };
  return header.map((column) => cells[column] ?? '');
};
const ref = (nativeId: string) => ({ application: 'x', objectClass: 'account', nativeId });
const listAll = (connector: Connector, ctx: OperationContext = newContext()) =>
  connector.list({ objectClass: 'account', pageSize: 100 }, ctx);

async function withRows(rows: readonly (readonly string[])[], changes: Readonly<Record<string, unknown>> = {}) {
  const folder = await localFolder();
  const file = join(folder, 'accounts.csv');
  await writeFile(file, writeCsv([header, ...rows]));
  const config = fileConfig({ kind: 'local', folder }, changes);
  return { folder, file, config, connector: fileConnector(config), text: () => readFile(file, 'utf8') };
}

describe('a file that is not what it should be', () => {
  const good = writeCsv([header, row('1', 'ann')]);
  it.each([
    ['a missing column', good.replace('"state"', '"status"'), { targetCode: 'column-missing', attribute: 'state' }],
    ['a double column', good.replace('"note"', '"state"'), { targetCode: 'column-twice', attribute: 'state' }],
    ['a shifted row', good.replace('"kept"', '"kept";"more"'), { targetCode: 'cells-shifted-line-2' }],
    ['a short row', good.replace(';"kept"', ''), { targetCode: 'cells-shifted-line-2' }],
    ['a key twice', good + writeCsv([row('1', 'bo')]), { targetCode: 'key-twice-line-3', attribute: 'id' }],
    ['an empty key', good + writeCsv([row('', 'bo')]), { targetCode: 'key-empty-line-3', attribute: 'id' }],
    ['an open quote', `${good}"2;bo\n`, { targetCode: 'not-csv-line-3' }],
  ])('%s is named, and nothing is read or changed', async (_what, text, problem) => {
    const { connector, file } = await withRows([]);
    await writeFile(file, text);
    const wanted = { code: 'INVALID', sent: false, ...problem };
    await expect(listAll(connector)).rejects.toMatchObject(wanted);
    await expect(connector.disable!(ref('1'), newContext())).rejects.toMatchObject(wanted);
    expect(await readFile(file, 'utf8')).toBe(text);
    expect((await connector.validate(newContext())).map(({ severity }) => severity)).toEqual(['error']);
  });

  it('a cell that is not of its type is named; other rows can be changed, and it stays as it is', async () => {
    const odd = row('2', 'bo', 'active', { seats: 'x' });
    const { connector, text } = await withRows([row('1', 'ann'), odd]);
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'INVALID', attribute: 'seats' });
    await connector.disable!(ref('1'), newContext());
    expect(readCsv(await text())[2]).toEqual(odd);
  });

  it('a column that nobody configured is refused, where asked for', async () => {
    const { config } = await withRows([row('1', 'ann')]);
    const strict = fileConnector({ ...config, format: { delimiter: ';' } });
    await expect(listAll(strict)).rejects.toMatchObject({ code: 'INVALID', targetCode: 'column-unknown-at-11' });
  });

  it('a missing file is unavailable, never an empty list', async () => {
    const { connector, file } = await withRows([row('1', 'ann')]);
    await rm(file);
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'file-missing' });
  });

  it('a status word that is not configured is unknown, and an enable or disable settles it', async () => {
    const { connector, text } = await withRows([row('1', 'ann', 'A')]);
    expect((await connector.get(ref('1'), newContext()))?.status).toBe('unknown');
    const verified = await connector.verify({ ref: ref('1'), exists: true, status: 'disabled' }, newContext());
    expect(verified.verdict).toBe('unknown');
    expect((await connector.disable!(ref('1'), newContext())).outcome).toBe('applied');
    expect(readCsv(await text())[1]).toEqual(row('1', 'ann', 'inactive'));
  });
});

describe('a file that is being written', () => {
  it('is not read while its last line is open', async () => {
    const { connector, file } = await withRows([row('1', 'ann')]);
    await appendFile(file, '"2";"bo');
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'unfinished-line' });
  });

  it('is not read while it grows, also by whole lines', async () => {
    const { config, folder, file } = await withRows([row('1', 'ann')]);
    const inner = localStore(folder);
    let reads = 0;
    const growing: FileStore = {
      ...inner,
      read: async (...args) => {
        const bytes = await inner.read(...args);
        reads += 1;
        await appendFile(file, writeCsv([row(`g${reads}`, `grown-${reads}`)]));
        return bytes;
      },
    };
    const connector = createFileConnector('x', fileConfigSchema.parse(config), growing);
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'growing' });
    expect(reads).toBe(3);
  });

  it('waits for a done file that is not older, and for quiet', async () => {
    const ready = { doneFile: 'accounts.done', quietMs: 60_000 };
    const { connector, file, folder } = await withRows([row('1', 'ann')], { mode: { ...snapshotMode, ready } });
    const problem = async (): Promise<unknown> =>
      listAll(connector).then(
        () => 'read',
        (error: unknown) => error,
      );
    expect(await problem()).toMatchObject({ code: 'UNAVAILABLE', targetCode: 'done-file-missing' });
    await writeFile(join(folder, 'accounts.done'), '');
    await utimes(join(folder, 'accounts.done'), 1000, 1000);
    expect(await problem()).toMatchObject({ targetCode: 'done-file-old' });
    await utimes(join(folder, 'accounts.done'), new Date(), new Date());
    expect(await problem()).toMatchObject({ targetCode: 'not-quiet' });
    await utimes(file, 1000, 1000);
    expect(await problem()).toBe('read');
  });

  it('makes a list incomplete that began on another file', async () => {
    const { connector, file } = await withRows([row('1', 'ann'), row('2', 'bo'), row('3', 'cy')]);
    const first = await connector.list({ objectClass: 'account', pageSize: 2 }, newContext());
    await writeFile(file, writeCsv([header, row('1', 'ann'), row('3', 'cy')]));
    const second = await connector.list({ objectClass: 'account', pageSize: 2, cursor: first.next }, newContext());
    expect([second.items.length, second.complete, second.next]).toEqual([1, false, undefined]);
  });
});

/** A store that breaks at one step, before or after the step was done. */
function breaking(
  inner: FileStore,
  step: 'write' | 'replace',
  when: 'before' | 'after',
  fits: (name: string) => boolean,
) {
  const broken = async (name: string, work: () => Promise<void>): Promise<void> => {
    if (!fits(name)) return work();
    if (when === 'after') await work();
    throw new StoreFailure('UNAVAILABLE', 'planted');
  };
  return {
    ...inner,
    ...(step === 'write'
      ? { write: (name: string, ...rest: [Buffer, AbortSignal]) => broken(name, () => inner.write(name, ...rest)) }
      : {
          replace: (from: string, to: string, signal: AbortSignal) => broken(to, () => inner.replace(from, to, signal)),
        }),
  } satisfies FileStore;
}

describe('a write that is interrupted', () => {
  const mode = { ...snapshotMode, doneFile: 'accounts.csv.done' };
  const isPart = (name: string): boolean => /^accounts\.csv\.[^.]+\.part$/.test(name);
  it.each([
    ['writing the part', 'write', 'after', isPart, 'UNAVAILABLE', 'active'],
    ['before the replacement', 'replace', 'before', (name: string) => name === 'accounts.csv', 'AMBIGUOUS', 'active'],
    ['after the replacement', 'replace', 'after', (name: string) => name === 'accounts.csv', 'AMBIGUOUS', 'inactive'],
    ['before the done file', 'replace', 'before', (name: string) => name.endsWith('.done'), 'AMBIGUOUS', 'inactive'],
  ] as const)('%s is old or new, and whole after a repeat', async (_what, step, when, fits, code, state) => {
    const { config, folder, text } = await withRows([row('1', 'ann'), row('2', 'bo')], { mode });
    const parsed = fileConfigSchema.parse(config);
    const broken = createFileConnector('x', parsed, breaking(localStore(folder), step, when, fits));
    await expect(broken.disable!(ref('1'), newContext())).rejects.toMatchObject({ code, sent: code === 'AMBIGUOUS' });
    expect(readCsv(await text())).toEqual([header, row('1', 'ann', state), row('2', 'bo')]);
    await createFileConnector('x', parsed, localStore(folder)).disable!(ref('1'), newContext());
    expect(readCsv(await text())).toEqual([header, row('1', 'ann', 'inactive'), row('2', 'bo')]);
    // The target was told, and nothing is left over.
    const left = (await readdir(folder)).filter((name) => !name.startsWith('accounts.csv.done'));
    expect([left, (await stat(join(folder, 'accounts.csv.done'))).size]).toEqual([['accounts.csv'], 1]);
  });

  it('never reads a part that somebody left, and takes it away', async () => {
    const { connector, folder, file } = await withRows([row('1', 'ann')]);
    await writeFile(`${file}.left.part`, writeCsv([header, row('9', 'never')]));
    expect((await listAll(connector)).items.map((item) => item.login)).toEqual(['ann']);
    await connector.disable!(ref('1'), newContext());
    expect(await readdir(folder)).toEqual(['accounts.csv']);
  });

  it('does not overwrite what somebody without the lock wrote meanwhile', async () => {
    const { connector, file, text } = await withRows([row('1', 'ann')]);
    const other = writeCsv([header, row('1', 'ann'), row('2', 'bo')]);
    const ctx = newContext({ sentMarker: () => writeFile(file, other) });
    await expect(connector.disable!(ref('1'), ctx)).rejects.toMatchObject({
      code: 'CONFLICT',
      targetCode: 'file-changed',
    });
    expect(await text()).toBe(other);
  });
});

describe('two writers', () => {
  it('lose nothing when they are two processes', async () => {
    const rows = Array.from({ length: 20 }, (_one, index) => row(String(index), `u${index}`));
    const { config, text } = await withRows(rows, { lock: { waitMs: 20_000 } });
    const writers = [fileConnector(config), fileConnector(config)];
    await Promise.all(rows.map((_row, index) => writers[index % 2]!.disable!(ref(String(index)), newContext())));
    expect(
      readCsv(await text())
        .slice(1)
        .map((cells) => cells[2]),
    ).toEqual(rows.map(() => 'inactive'));
  });

  it('lose changes without the lock: the check above can fail', async () => {
    const rows = Array.from({ length: 20 }, (_one, index) => row(String(index), `u${index}`));
    const { config, folder } = await withRows(rows);
    const lockless = { ...localStore(folder), createExclusive: () => Promise.resolve(true) };
    const writers = [1, 2].map(() => createFileConnector('x', fileConfigSchema.parse(config), lockless));
    const all = await Promise.allSettled(
      rows.map((_row, index) => writers[index % 2]!.disable!(ref(String(index)), newContext())),
    );
    expect(all.some((one) => one.status === 'rejected')).toBe(true);
  });

  it('wait for a lock, and take one over whose holder should have ended long ago', async () => {
    const { connector, config, file } = await withRows([row('1', 'ann')]);
    const holder = (until: number): string => JSON.stringify({ owner: 'other', until: new Date(until).toISOString() });
    await writeFile(`${file}.lock`, holder(Date.now()));
    const impatient = fileConnector({ ...config, lock: { waitMs: 200 } });
    await expect(impatient.disable!(ref('1'), newContext())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      targetCode: 'locked',
    });
    await writeFile(`${file}.lock`, holder(Date.now() - 60_000));
    expect((await connector.disable!(ref('1'), newContext())).outcome).toBe('applied');
  });

  it('stop when the lock was taken over', async () => {
    const { connector, file, text } = await withRows([row('1', 'ann')]);
    const before = await text();
    const ctx = newContext({
      sentMarker: () => writeFile(`${file}.lock`, JSON.stringify({ owner: 'b', until: '2999-01-01' })),
    });
    await expect(connector.disable!(ref('1'), ctx)).rejects.toMatchObject({
      code: 'CONFLICT',
      targetCode: 'lock-lost',
    });
    expect(await text()).toBe(before);
  });
});

describe('cells', () => {
  it.each(['=1+1', '+49', '-x', '@SUM(A1)', '\t=1', '\r=1'])(
    'refuses the formula %j unless told otherwise',
    async (value) => {
      const { config, text } = await withRows([row('1', 'ann')]);
      const before = await text();
      const change = [{ attribute: 'department', op: 'replace' as const, value }];
      const strict = fileConnector({ ...config, format: { delimiter: ';', otherColumns: 'keep' } });
      await expect(strict.update!(ref('1'), change, newContext())).rejects.toMatchObject({
        code: 'INVALID',
        attribute: 'department',
      });
      expect(await text()).toBe(before);
      const mild = fileConnector(config);
      await mild.update!(ref('1'), change, newContext());
      expect(readCsv((await text()).replaceAll('\r', '#'))[1]![5]).toBe(`'${value}`.replaceAll('\r', '#'));
      expect((await mild.get(ref('1'), newContext()))?.attributes['department']).toBe(value);
      const login = [{ attribute: 'login', op: 'replace' as const, value }];
      await expect(mild.update!(ref('1'), login, newContext())).rejects.toMatchObject({
        code: 'INVALID',
        attribute: 'login',
      });
    },
  );

  it('keeps what it does not know: other columns, and the mark at the beginning', async () => {
    const { connector, file } = await withRows([row('1', 'ann')]);
    await writeFile(file, `\uFEFF${await readFile(file, 'utf8')}`);
    await connector.disable!(ref('1'), newContext());
    const after = await readFile(file, 'utf8');
    expect([after.startsWith('\uFEFF'), readCsv(after.slice(1))[1]]).toEqual([true, row('1', 'ann', 'inactive')]);
  });

  it('speaks Windows-1252, and refuses what it does not have', async () => {
    const format = { delimiter: ';', otherColumns: 'keep', encoding: 'windows-1252', newline: 'crlf' };
    const { connector, file } = await withRows([row('1', 'ann')], { format });
    const set = (value: string) =>
      connector.update!(ref('1'), [{ attribute: 'department', op: 'replace', value }], newContext());
    await set('Zoë €');
    const bytes = await readFile(file);
    expect(bytes.includes(Buffer.from([0x5a, 0x6f, 0xeb, 0x20, 0x80]))).toBe(true);
    expect(bytes.subarray(-2).toString()).toBe('\r\n');
    await expect(set('王')).rejects.toMatchObject({
      code: 'INVALID',
      attribute: 'department',
      targetCode: 'not-in-encoding',
    });
  });

  it('refuses bytes that are no UTF-8', async () => {
    const { connector, file } = await withRows([row('1', 'ann')]);
    await appendFile(file, Buffer.from([0xeb, 0x0a]));
    await expect(listAll(connector)).rejects.toMatchObject({ code: 'INVALID', targetCode: 'not-utf-8' });
  });
});

describe('change files', () => {
  const ready = { quietMs: 0 };
  const mode = { kind: 'delta', changes: 'in', export: 'accounts.csv', ready } as const;
  const format = { delimiter: ';' };
  const columns = ['id', 'login', 'state', 'tenure', 'name', 'department', 'tags', 'seats', 'vip', 'groups'];
  const start = async () => {
    const setup = await withRows([], { mode, format });
    await writeFile(setup.file, writeCsv([columns, row('1', 'ann', 'active', { groups: 'finance' }).slice(0, -1)]));
    const inbox = join(setup.folder, 'in');
    await mkdir(inbox);
    const changes = async () => {
      const names = (await readdir(inbox)).filter((name) => name.endsWith('.csv')).sort();
      return Promise.all(names.map(async (name) => readCsv(await readFile(join(inbox, name), 'utf8'))[1]!));
    };
    return { ...setup, inbox, changes };
  };

  it('hold one change each, in order, with only what changed; the export is what is read', async () => {
    const { connector, changes, inbox } = await start();
    await connector.update!(ref('1'), [{ attribute: 'department', op: 'replace', value: 'Finance' }], newContext());
    await connector.disable!(ref('1'), newContext());
    await connector.addMember!({ application: 'x', name: 'staff' }, ref('1'), newContext());
    await connector.update!(ref('1'), [{ attribute: 'department', op: 'replace', value: null }], newContext());
    expect(await changes()).toEqual([
      ['update', '1', '', '', '', '', 'Finance', '', '', '', ''],
      ['update', '1', '', 'inactive', '', '', '', '', '', '', ''],
      ['update', '1', '', '', '', '', '', '', '', '', 'finance|staff'],
      ['update', '1', '', '', '', '', '(none)', '', '', '', ''],
    ]);
    const names = (await readdir(inbox)).sort();
    expect(names.every((name) => /^\d{15}-1\.csv(\.done)?$/.test(name)) && names.length === 8).toBe(true);
    expect((await connector.get(ref('1'), newContext()))?.status).toBe('enabled');
    const expected = { ref: ref('1'), exists: true, status: 'disabled' } as const;
    expect((await connector.verify({ ...expected, settling: true }, newContext())).verdict).toBe('pending');
    expect((await connector.verify(expected, newContext())).verdict).toBe('mismatch');
  });

  it('are not written twice while one waits, nor for an account that is made already', async () => {
    const { connector, changes } = await start();
    await connector.disable!(ref('1'), newContext());
    expect((await connector.disable!(ref('1'), newContext())).outcome).toBe('already-in-state');
    const spec = { objectClass: 'account', login: 'bo', enabled: true, attributes: { displayName: 'Bo' } } as const;
    const ctx = newContext();
    const made = await connector.create!(spec, ctx);
    const again = await connector.create!(spec, newContext({ idempotencyKey: ctx.idempotencyKey }));
    expect([again.outcome, again.ref]).toEqual(['already-in-state', made.ref]);
    await expect(connector.create!(spec, newContext())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await connector.delete!(made.ref, newContext());
    expect((await connector.delete!(made.ref, newContext())).outcome).toBe('already-in-state');
    expect((await changes()).map((cells) => cells[0])).toEqual(['update', 'create', 'delete']);
  });

  it('that were not finished are read by nobody, and made anew by a repeat', async () => {
    const { config, folder, inbox, changes, connector } = await start();
    const fits = (name: string): boolean => name.endsWith('.done');
    const broken = createFileConnector(
      'x',
      fileConfigSchema.parse(config),
      breaking(localStore(folder), 'replace', 'before', fits),
    );
    await expect(broken.disable!(ref('1'), newContext())).rejects.toMatchObject({ code: 'AMBIGUOUS' });
    expect((await changes()).length).toBe(1);
    expect((await connector.disable!(ref('1'), newContext())).outcome).toBe('applied');
    const names = await readdir(inbox);
    expect([names.length, names.filter((name) => name.endsWith('.done')).length]).toEqual([2, 1]);
  });

  it('never say something else by a reserved word', async () => {
    const { connector, changes } = await start();
    const change = [{ attribute: 'department', op: 'replace' as const, value: '(none)' }];
    await expect(connector.update!(ref('1'), change, newContext())).rejects.toMatchObject({
      code: 'INVALID',
      targetCode: 'reserved-word',
    });
    expect(await changes()).toEqual([]);
  });
});

const reason = await reasonToSkipSftp();
const describeSftp = reason === undefined ? describe : describe.skip;
describeSftp(`a server${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let server: SftpServer;
  beforeAll(async () => {
    server = await startSftp();
    await writeFile(join(server.inbox, 'accounts.csv'), writeCsv([header, row('1', 'ann')]));
    await chmod(join(server.inbox, 'accounts.csv'), 0o644);
  }, 120_000);
  afterAll(() => server.stop());
  const read = async (place: unknown, env: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const connector = fileConnector(fileConfig(place), env);
    try {
      return (await listAll(connector)).items.length;
    } catch (error) {
      return error;
    } finally {
      await connector.close();
    }
  };

  it('with another host key is refused before it sees who we are', async () => {
    const other = `SHA256:${'A'.repeat(43)}`;
    const auth = { method: 'password', password: 'env:PASSWORD' };
    const before = (await server.log()).length;
    const refused = await read(sftpPlace(server, { hostKeys: [other], auth }), { PASSWORD: server.password });
    expect(refused).toMatchObject({ code: 'UNAUTHENTICATED', targetCode: 'host-key-changed', sent: false });
    expect((await server.log()).slice(before)).not.toMatch(/password|publickey|tenure-sftp-test/i);
    expect(await read(sftpPlace(server, { hostKeys: [other, server.hostKey] }))).toBe(1);
  });

  it('takes a key, a key with a passphrase, and a password', async () => {
    const { locked, stranger } = server.keys;
    const key = { method: 'key', key: `file:${locked}`, passphrase: 'env:PHRASE' };
    expect(await read(sftpPlace(server, { auth: key }), { PHRASE: server.passphrase })).toBe(1);
    const wrong = await read(sftpPlace(server, { auth: key }), { PHRASE: 'wrong' });
    expect(wrong).toMatchObject({ code: 'UNAUTHENTICATED', targetCode: 'unreadable-key' });
    const password = { method: 'password', password: 'env:PASSWORD' };
    expect(await read(sftpPlace(server, { auth: password }), { PASSWORD: server.password })).toBe(1);
    expect(await read(sftpPlace(server, { auth: password }), { PASSWORD: 'no' })).toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    const unknown = { method: 'key', key: `file:${stranger}` };
    expect(await read(sftpPlace(server, { auth: unknown }))).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('is found to replace files in one step, which it is asked to do', async () => {
    const before = (await stat(join(server.inbox, 'accounts.csv'))).ino;
    const connector = fileConnector(fileConfig(sftpPlace(server)));
    expect((await connector.validate(newContext())).map(({ code }) => code)).toEqual(['no-sign-in']);
    await connector.disable!(ref('1'), newContext());
    await connector.close();
    // Another file of the same name: it was put in place, not written over.
    expect((await stat(join(server.inbox, 'accounts.csv'))).ino).not.toBe(before);
    expect(await readdir(server.inbox)).toEqual(['accounts.csv']);
  });

  it('whose folder may not be written is FORBIDDEN, and nothing changes', async () => {
    await rename(join(server.inbox, 'accounts.csv'), join(server.inbox, '../accounts.csv'));
    const connector = fileConnector(fileConfig(sftpPlace(server, { folder: '/' })));
    expect((await listAll(connector)).items.length).toBe(1);
    await expect(connector.enable!(ref('1'), newContext())).rejects.toMatchObject({ code: 'FORBIDDEN', sent: false });
    await connector.close();
  });
});
