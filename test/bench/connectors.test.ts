import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { GOAL, summarise } from '../../bench/connectors/arithmetic.js';
import type { Block } from '../../bench/connectors/arithmetic.js';
import { methodLibrary, invoke } from '../../bench/connectors/libraries.js';
import { play } from '../../bench/connectors/library.js';
import type { Library } from '../../bench/connectors/library.js';
import { measureKind } from '../../bench/connectors/measure.js';
import { connectorsResultSchema } from '../../bench/connectors/result.js';
import { ResultOf, hasSameShape, mentions, scriptFor } from '../../bench/connectors/script.js';
import type { Account, Call, Script } from '../../bench/connectors/script.js';
import type { Kind } from '../../bench/connectors/subject.js';
import { createNoopConnector } from '../../bench/noop-connector.js';
import type { AccountRef, Connector, ObservedAccount } from '../../src/connectors/connector.js';

const program = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url));
const results = fileURLToPath(new URL('../../bench/results/', import.meta.url));

const call = (method: string, ...args: unknown[]): Call => ({ method, args, on: undefined, isRefused: false });
const account = (login: string, key: string, id?: string, forms: Buffer[] = []): Account => ({ login, key, id, forms });

describe('the ratio of an operation', () => {
  const block = (round: number, side: Block['side'], ...latenciesMs: number[]): Block => {
    return { round, operation: 'get', side, latenciesMs, cpuMs: 4 };
  };
  const script = [[call('search')], [call('csv.parse')]];

  it('is operations per second through the connector by those by hand, taken in each round, and the median of the rounds', () => {
    const line = summarise('get', script, [
      ...[block(1, 'connector', 10, 10), block(1, 'direct', 8, 8)],
      // Everything was slow in this round, on both sides alike.
      ...[block(2, 'connector', 100, 100), block(2, 'direct', 90, 90)],
      ...[block(3, 'connector', 10, 10), block(3, 'direct', 1, 1)],
      { ...block(1, 'direct', 1), operation: 'disable' },
    ]);
    expect(line.ratioByRound).toEqual([0.8, 0.9, 0.1]);
    expect(line).toMatchObject({ ratio: 0.8, wireCalls: 1, calls: ['search'], ratioOfMedians: 0.8 });
    expect(line.connector).toMatchObject({
      operations: 6,
      perSecond: 100,
      p50Ms: 10,
      p99Ms: 100,
      cpuMsPerOperation: 2,
    });
  });
});

describe('a script for another account', () => {
  const from = account('u-old-login-1', 'key-old-key-1', '17', [Buffer.from('old')]);
  const to = account('u-new-login-2', 'key-new-key-2', '18', [Buffer.from('new')]);

  it('carries its login, key and id, and keeps classes, handles and everything else', () => {
    class Filter {
      constructor(readonly value: string) {}
    }
    const script: Script = [
      [call('search', new Filter('cn=u-old-login-1'), { limit: 17, id: '17', text: 'room 17' }, Buffer.from('old'))],
      [call('write', new ResultOf(0), ['key-old-key-1'])],
    ];
    const [search, write] = scriptFor(script, from, to).flat();
    expect(search!.args[0]).toBeInstanceOf(Filter);
    expect(search!.args).toEqual([
      new Filter('cn=u-new-login-2'),
      { limit: 17, id: '18', text: 'room 17' },
      Buffer.from('new'),
    ]);
    expect(write!.args).toEqual([new ResultOf(0), ['key-new-key-2']]);
    expect(mentions(script, '17')).toBe(true);
    expect(mentions(script, '99')).toBe(false);
    expect(hasSameShape(script, scriptFor(script, from, to))).toBe(true);
    expect(hasSameShape(script, script.slice(1))).toBe(false);
  });
});

/** A target in memory behind a client with three calls. */
class Store {
  readonly rows = new Map<string, { login: string; enabled: boolean }>();
}

class StoreClient {
  static store = new Store();

  async read(id: string): Promise<{ login: string; enabled: boolean } | undefined> {
    await delay(1);
    return StoreClient.store.rows.get(id);
  }

  async write(id: string, login: string, enabled: boolean): Promise<void> {
    await delay(1);
    StoreClient.store.rows.set(id, { login, enabled });
  }

  async remove(id: string): Promise<void> {
    await delay(1);
    StoreClient.store.rows.delete(id);
  }
}

const library: Library = methodLibrary(
  'store',
  () => [{ owner: StoreClient.prototype, methods: ['read', 'write', 'remove'] }],
  () => {
    const client = new StoreClient();
    return Promise.resolve({ call: (method, args) => invoke(client, method, args), close: () => Promise.resolve() });
  },
);

/** A connector to it; the id of an account is its login. `changes` plants what the bench has to notice. */
function storeKind(changes: (client: StoreClient) => Partial<Connector> = () => ({})): Kind {
  const client = new StoreClient();
  const refOf = (nativeId: string): AccountRef => ({ application: 'x', objectClass: 'account', nativeId });
  const observed = async (nativeId: string): Promise<ObservedAccount | undefined> => {
    const row = await client.read(nativeId);
    const status = row?.enabled === true ? 'enabled' : 'disabled';
    return row && { ref: refOf(nativeId), login: row.login, status, attributes: {}, entitlements: [] };
  };
  const set = (enabled: boolean) => async (ref: AccountRef) => {
    const row = await client.read(ref.nativeId);
    await client.write(ref.nativeId, row!.login, enabled);
    return { outcome: 'applied', ref, changed: [] } as const;
  };
  const connector: Connector = {
    ...createNoopConnector('x'),
    get: (ref) => observed(ref.nativeId),
    find: async ({ value }) => [(await observed(value))!],
    create: async (spec) => {
      await client.write(spec.login, spec.login, true);
      return { outcome: 'applied', ref: refOf(spec.login), changed: [] };
    },
    disable: set(false),
    enable: set(true),
    delete: async (ref) => {
      await client.remove(ref.nativeId);
      return { outcome: 'applied', ref, changed: [] };
    },
    ...changes(client),
  };
  let serial = 0;
  const sample = () => {
    serial += 1;
    return { objectClass: 'account', login: `person-number-${serial}`, enabled: true, attributes: {} } as const;
  };
  return {
    name: 'store',
    connector: 'store',
    system: 'in memory',
    reasonToSkip: () => Promise.resolve(undefined),
    start: () => Promise.resolve({ connector, library, sample, group: undefined, stop: () => Promise.resolve() }),
  };
}

const small = { people: 5, rounds: 3 };

describe('a connector beside the same calls by hand', () => {
  it('is measured operation by operation, with as many calls on either side, and leaves the target as it was', async () => {
    const { operations } = await measureKind(storeKind(), small);
    expect(operations.map(({ operation, calls }) => [operation, calls])).toEqual([
      ['create', ['write']],
      ['get', ['read']],
      ['disable', ['read', 'write']],
      ['enable', ['read', 'write']],
    ]);
    for (const { connector, direct } of operations) expect(connector.operations).toBe(direct.operations);
    expect(operations[0]!.connector.operations).toBe(2 * small.people * small.rounds);
    expect(StoreClient.store.rows.size).toBe(0);
  });

  it('is found too slow when it wastes time between its calls (planted)', async () => {
    const slow = storeKind((client) => ({
      get: async (ref) => {
        await delay(20);
        const row = (await client.read(ref.nativeId))!;
        const status = row.enabled ? 'enabled' : 'disabled';
        return { ref, login: row.login, status, attributes: {}, entitlements: [] };
      },
    }));
    const { operations } = await measureKind(slow, small);
    const of = (name: string): number => operations.find(({ operation }) => operation === name)!.ratio;
    expect(of('get')).toBeLessThan(GOAL / 2);
    expect(of('disable')).toBeGreaterThan(of('get'));
  });

  it('is not measured when it works past its client library, so that the calls by hand do less (planted)', async () => {
    const sly = storeKind((client) => ({
      disable: async (ref) => {
        await client.read(ref.nativeId);
        StoreClient.store.rows.get(ref.nativeId)!.enabled = false;
        return { outcome: 'applied', ref, changed: [] };
      },
    }));
    await expect(measureKind(sly, small)).rejects.toThrow('disable: the calls by hand have another effect');
  });

  it('is not measured when it changes its calls on the way (planted)', async () => {
    let reads = 0;
    const moody = storeKind((client) => ({
      get: async (ref) => {
        reads += 1;
        const row = (await client.read(ref.nativeId))!;
        if (reads > 20) await client.read(ref.nativeId);
        const status = row.enabled ? 'enabled' : 'disabled';
        return { ref, login: row.login, status, attributes: {}, entitlements: [] };
      },
    }));
    await expect(measureKind(moody, small)).rejects.toThrow('get does not make the same calls');
  });

  it('puts the methods back that it watched', async () => {
    const { read } = StoreClient.prototype;
    const script = await library.record(() => new StoreClient().read('a'));
    expect(StoreClient.prototype.read).toBe(read);
    expect(script).toEqual([[call('read', 'a')]]);
    const together = await library.record(() =>
      Promise.all([new StoreClient().read('a'), new StoreClient().read('b')]),
    );
    expect(together).toEqual([[call('read', 'a'), call('read', 'b')]]);
    const heard: unknown[] = [];
    await play(await library.connect(), together, (result) => heard.push(result));
    expect(heard).toEqual([undefined, undefined]);
  });
});

describe('npm run bench -- connectors', () => {
  const folders = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('tenure-test-'));

  it('measures one kind in small, prints one document of the published form, and leaves nothing behind', async () => {
    const before = new Set(folders());
    const args = ['connectors', '--people', '1', '--rounds', '1', '--kinds', 'file-local'];
    // A run of its own, not a part of this one.
    const { TENURE_TEST_RUN: _run, TENURE_TEST_OWNER: _owner, ...env } = process.env;
    const child = spawn(process.execPath, [program, ...args], { env: { ...env, NODE_OPTIONS: '' } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect([code, stderr]).toEqual([0, expect.stringContaining('file-local: get:')]);
    const result = connectorsResultSchema.parse(JSON.parse(stdout));
    expect(result.kinds.map(({ name }) => name)).toEqual(['file-local']);
    expect(result.goals).toHaveLength(6);
    expect(folders().filter((name) => !before.has(name))).toEqual([]);
  }, 180_000);

  it('committed results have the published form, and a document without a part has not', () => {
    const names = readdirSync(results).filter((name) => name.startsWith('connectors-'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const document = JSON.parse(readFileSync(`${results}${name}`, 'utf8')) as object;
      expect(connectorsResultSchema.safeParse(document).error).toBeUndefined();
      const { error } = connectorsResultSchema.safeParse({ ...document, kinds: undefined });
      expect(z.prettifyError(error!)).toContain('kinds');
    }
  });
});
