import { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { Client } from 'ssh2';
import type { ConnectConfig, SFTPWrapper } from 'ssh2';
import type { Direct, Library } from './library.js';
import { invoke, methodLibrary } from './libraries.js';
import type { Call, Script } from './script.js';

const format = { delimiter: ';', quote: '"', escape: '"' } as const;
/** Calls of the CSV libraries; they are no calls on the wire. */
const PARSE = 'csv.parse';
const STRINGIFY = 'csv.stringify';
export const offTheWire: ReadonlySet<string> = new Set([PARSE, STRINGIFY]);

/** node:fs for the file connector's local folder. */
export async function localFiles(folder: string, own: string): Promise<Library> {
  const handle = await promises.open(folder, 'r');
  const handles = Object.getPrototypeOf(handle) as object;
  await handle.close();
  const watched = [
    { owner: promises, methods: ['stat', 'readFile', 'open', 'rename', 'rm', 'readdir'], ofOpened: ['close'] },
    { owner: handles, methods: ['writeFile', 'sync'] },
  ] as const;
  const base = methodLibrary(
    'node:fs',
    () => watched,
    () => {
      const direct = (method: string, args: readonly unknown[], on: unknown): Promise<unknown> =>
        invoke((on as object | undefined) ?? promises, method, args);
      return Promise.resolve(withCsv({ call: direct, close: () => Promise.resolve() }));
    },
  );
  return {
    ...base,
    record: async (work) => {
      // Names that were imported from node:fs follow its exports only when told to.
      const script = await base.record(async () => {
        syncBuiltinESMExports();
        await work();
      });
      syncBuiltinESMExports();
      return csvCalls(aside(script, own));
    },
  };
}

/** ssh2's SFTP for the file connector's remote folder. */
export async function remoteFiles(config: ConnectConfig, own: string): Promise<Library> {
  const connect = async (): Promise<{ client: Client; sftp: SFTPWrapper }> => {
    const client = new Client();
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject).connect(config);
    });
    client.setNoDelay(true);
    const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, session) => (error === undefined ? resolve(session) : reject(error)));
    });
    return { client, sftp };
  };
  const sample = await connect();
  const owner = Object.getPrototypeOf(sample.sftp) as object;
  sample.client.end();
  const methods = [
    'stat',
    'readFile',
    'open',
    'write',
    'close',
    'ext_openssh_fsync',
    'ext_openssh_rename',
    'unlink',
    'readdir',
  ];
  const watched = [{ owner, methods, callback: true, composite: ['readFile', 'readdir'] }] as const;
  const base = methodLibrary(
    'ssh2',
    () => watched,
    async () => {
      const { client, sftp } = await connect();
      const call: Direct['call'] = (method, args) =>
        new Promise((resolve, reject) => {
          (sftp[method as 'stat'] as (...all: unknown[]) => void).call(
            sftp,
            ...args,
            (error: Error | undefined, value: unknown) => (error instanceof Error ? reject(error) : resolve(value)),
          );
        });
      return withCsv({
        call,
        close: () => {
          client.end();
          return Promise.resolve();
        },
      });
    },
  );
  return { ...base, record: async (work) => csvCalls(aside(await base.record(work), own)) };
}

/** The same files under another name: what is written by hand must not meet what the connector writes. */
function aside(script: Script, own: string): Script {
  const text = (value: unknown): unknown => (typeof value === 'string' ? value.replaceAll('accounts.csv', own) : value);
  return script.map((batch) => batch.map((call) => ({ ...call, args: call.args.map(text) })));
}

/** Nobody can answer from a CSV file, or change one, without reading and writing CSV: these calls are made by hand, too. */
function csvCalls(script: Script): Script {
  const isAccounts = (call: Call): boolean => call.method === 'readFile' && String(call.args[0]).endsWith('.csv');
  const calls = script.flat();
  const read = calls.findIndex(isAccounts);
  const written = calls.findIndex(({ method, args }) => method === 'open' && String(args[0]).endsWith('.part'));
  const csv = (method: string): Call => ({ method, args: [], on: undefined, isRefused: false });
  // They stand where the calls after them keep their numbers: their batch is the one of the read, or of the write.
  return [...script, ...(read < 0 ? [] : [[csv(PARSE)]]), ...(written < 0 ? [] : [[csv(STRINGIFY)]])];
}

function withCsv(direct: Direct): Direct {
  let bytes: Buffer = Buffer.alloc(0);
  let rows: string[][] = [];
  return {
    close: direct.close,
    call: async (method, args, on) => {
      if (method === PARSE) {
        rows = parse(bytes, { ...format, relax_column_count: true, skip_empty_lines: true });
        return undefined;
      }
      if (method === STRINGIFY) {
        stringify(rows, format);
        return undefined;
      }
      const result = await direct.call(method, args, on);
      if (method === 'readFile' && String(args[0]).endsWith('.csv')) bytes = result as Buffer;
      return result;
    },
  };
}
