import { readFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Connector, OperationContext } from '../../src/connectors/connector.js';
import { powershellCapabilities } from '../../src/connectors/powershell/capabilities.js';
import { powershellConfigSchema } from '../../src/connectors/powershell/config.js';
import type { Host } from '../../src/connectors/powershell/host.js';
import { encodeRequest, resultSchemas } from '../../src/connectors/powershell/protocol.js';
import { configProblems } from '../../src/connectors/registry.js';
import { Secret } from '../../src/connectors/secret.js';
import type { ContextOptions } from './kit/checks.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { World } from './powershell-harness.js';
import { newWorld, ownOperations, shellConnector } from './powershell-harness.js';

const spec = (login: string) =>
  ({ objectClass: 'account', login, enabled: true, attributes: { displayName: 'Ada Lovelace' } }) as const;
const absent = { application: 'x', objectClass: 'account', nativeId: 'nobody' };

let world: World;
const open: Connector[] = [];
beforeEach(() => {
  world = newWorld();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((connector) => connector.close()));
  world.remove();
});

/** A connector whose host misbehaves at the functions that are named. */
function shell(
  misbehaviours: Readonly<Record<string, string>> = {},
  changes: Readonly<Record<string, unknown>> = {},
): { connector: Connector; host: Host; pidFile: string; lines: readonly string[] } {
  const pidFile = join(world.folder, 'grandchild.pid');
  const behaviour = Object.entries(misbehaviours).map((pair) => pair.join('='));
  const context = newContext();
  const config = world.config({ settings: { behaviour, pidFile }, ...changes });
  const { connector, host } = shellConnector(config, 'let-me-in', context.logger);
  open.push(connector);
  return { connector, host, pidFile, lines: context.lines };
}

const isAlive = (pid: number): boolean => {
  // A process that has ended and that nobody has asked for yet is a zombie: dead for our purpose.
  const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1] : undefined;
  return state !== undefined && !state.startsWith('Z');
};
async function until(what: () => boolean): Promise<void> {
  for (let waited = 0; waited < 5000 && !what(); waited += 20) await delay(20);
  expect(what()).toBe(true);
}
const text = (path: string): string => readFileSync(path, 'utf8');
const get = (connector: Connector, options: ContextOptions = {}) => connector.get(absent, newContext(options));

describe('secrets', () => {
  it('are in no argument and in no environment while a password is set, and nothing of the worker’s environment is', async () => {
    const { connector, host } = shell({ 'Set-TenureSecret': 'hang' });
    const { ref } = await connector.create!(spec('ada'), newContext());
    process.env['TENURE_TEST_PLANTED'] = 'planted-in-the-worker';
    const stop = new AbortController();
    const secret = new Secret('MARKER-password-1');
    const sent = newContext({ signal: stop.signal });
    const setting = connector.setSecret!(ref, secret, sent);
    const failed = expect(setting).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    await until(() => sent.markers() === 1);
    await delay(100);
    const [pid] = host.pids();
    const shown = text(`/proc/${pid}/cmdline`) + text(`/proc/${pid}/environ`);
    // Compared without showing: a failure would print the worker's environment.
    const seen = (value: string): boolean => shown.includes(value);
    expect(['powershell-host.mjs', 'MARKER-password-1', 'let-me-in', 'planted-in-the-worker'].map(seen)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(text(`/proc/${pid}/environ`).length).toBe(0);
    delete process.env['TENURE_TEST_PLANTED'];
    stop.abort();
    await failed;
  });

  it('cannot be configured into arguments, environment or settings', () => {
    const problems = (changes: Readonly<Record<string, unknown>>) =>
      configProblems(powershellConfigSchema, world.config(changes));
    const command = ['/usr/bin/pwsh'];
    expect(problems({ host: { command: [...command, 'env:PASSWORD'] } })).toHaveLength(1);
    expect(problems({ host: { command, environment: { DB_PASSWORD: 'x' } } })).toHaveLength(1);
    expect(problems({ host: { command, environment: { HOME: 'file:/etc/secret' } } })).toHaveLength(1);
    expect(problems({ settings: { clientSecret: 'x' } })).toHaveLength(1);
    expect(problems({ secrets: { password: 'plain' } })).toHaveLength(1);
    expect(problems({ host: { command: ['pwsh'] } })).toEqual([expect.stringMatching(/^host\.command: .*full path/)]);
    expect(problems({ host: { command: ['/bin/x\n-Command'] } })).toHaveLength(1);
    expect(problems({ operations: { list: 'rm -rf' } }).join()).toMatch(/operations\.list: must be a name/);
    expect(problems({ operations: undefined })).toEqual(['operations: are needed for scripts of your own']);
  });

  it('are revealed in one place, and a request is one line of ASCII whatever is in it', () => {
    const request = { command: 'Set-X', arguments: { a: 'ü\n\u2028"\\' }, secrets: { secret: new Secret('é\r\n"x') } };
    const line = encodeRequest('7', request);
    expect(line).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(line)).toEqual({ ...request, id: '7', secrets: { secret: 'é\r\n"x' } });
    expect(inspect(request) + JSON.stringify(request)).not.toContain('x"x');
  });
});

describe('processes', () => {
  it('a host that does not answer in time is ended with everything that it has started', async () => {
    const { connector, host, pidFile } = shell({ 'Get-TenureAccount': 'fork-and-hang' });
    await connector.find({ attribute: 'login', value: 'a' }, newContext());
    const reading = get(connector, { withinMs: 3000 });
    const failed = expect(reading).rejects.toMatchObject({ code: 'TIMEOUT', sent: false });
    await until(() => existsSync(pidFile));
    const pids = [host.pids()[0]!, Number(text(pidFile))];
    expect(pids.map(isAlive)).toEqual([true, true]);
    await failed;
    await until(() => !pids.some(isAlive) && host.pids().length === 0);
  });

  it('a cancel ends the same within a second, and a write under way is AMBIGUOUS', async () => {
    const { connector, host } = shell({ 'Disable-TenureAccount': 'hang' });
    const { ref } = await connector.create!(spec('ada'), newContext());
    const [pid] = host.pids();
    const stop = new AbortController();
    const started = performance.now();
    setTimeout(() => stop.abort(), 100);
    const work = connector.disable!(ref, newContext({ signal: stop.signal }));
    await expect(work).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    expect(performance.now() - started).toBeLessThan(1000);
    await until(() => !isAlive(pid!));
  });

  it('a host that never gets ready is ended, too', async () => {
    const config = world.config();
    const { command } = (config as { host: { command: string[] } }).host;
    const { connector, host } = shell(
      {},
      { host: { command: [...command, '--mute'] }, sessions: { startTimeoutMs: 300 } },
    );
    await expect(get(connector)).rejects.toMatchObject({ code: 'TIMEOUT', sent: false });
    expect(host.pids()).toEqual([]);
  });

  it('close ends all hosts', async () => {
    const { connector, host } = shell();
    await Promise.all([get(connector), get(connector)]);
    await connector.verify({ ref: absent, exists: false }, newContext());
    const pids = host.pids();
    expect(pids).toHaveLength(3);
    await connector.close();
    expect(pids.map(isAlive)).toEqual([false, false, false]);
    await expect(get(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'connector-closed' });
  });
});

describe('the allow-list', () => {
  it('refuses a function that is not on it before any host is started', async () => {
    const { delete: _delete, ...fewer } = ownOperations;
    const { connector, host } = shell({}, { operations: fewer });
    expect(connector.delete).toBeUndefined();
    const ctx = newContext();
    const call = (command: string) =>
      host.call({ operation: 'delete', command, isWrite: true, result: resultSchemas.nothing }, ctx);
    for (const command of ['Remove-TenureAccount', 'Invoke-Expression', 'get-tenureaccount']) {
      await expect(call(command)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        sent: false,
        targetCode: 'not-allowed',
      });
    }
    expect([ctx.markers(), host.pids()]).toEqual([0, []]);
  });

  it('keeps writes off the session that verifies', async () => {
    const { host } = shell();
    const call = { operation: 'x', command: 'Set-TenureAccount', isWrite: true, result: resultSchemas.nothing };
    await expect(host.call(call, newContext(), 'reading')).rejects.toMatchObject({ targetCode: 'not-allowed' });
  });

  it('validate names what the scripts and the target do not have', async () => {
    const changes = { operations: { ...ownOperations, setSecret: 'Set-Nothing' }, attributes: { externalId: 'badge' } };
    const { connector } = shell({}, changes);
    const findings = await connector.validate(newContext());
    expect(findings.map(({ severity, code }) => [severity, code])).toEqual([
      ['error', 'function-missing'],
      ['error', 'unknown-property'],
    ]);
  });
});

describe('sessions', () => {
  it('are reused one after another, and doubled only by what happens at once', async () => {
    const { connector, host } = shell();
    await get(connector);
    const first = host.pids();
    for (let index = 0; index < 5; index += 1) await get(connector);
    expect(host.pids()).toEqual(first);
    await Promise.all([get(connector), get(connector)]);
    expect(host.pids()).toHaveLength(2);
  });

  it('are never more than configured: what is too much waits, within its own time', async () => {
    const { connector, host } = shell({ 'Find-TenureAccount': 'hang' }, { sessions: { max: 1 } });
    await get(connector);
    const stop = new AbortController();
    const hanging = connector.find({ attribute: 'login', value: 'a' }, newContext({ signal: stop.signal }));
    const ended = expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(get(connector, { withinMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT', sent: false });
    const waiting = get(connector);
    await delay(50);
    expect(host.pids()).toHaveLength(1);
    stop.abort();
    await ended;
    expect(await waiting).toBeUndefined();
  });

  it.each([
    ['standing idle', { sessions: { idleMs: 50 } }, () => delay(300)],
    ['so many requests', { sessions: { maxRequests: 2 } }, (connector: Connector) => get(connector)],
  ])('are replaced after %s', async (_what, changes, wear) => {
    const { connector, host } = shell({}, changes);
    await get(connector);
    const [first] = host.pids();
    await wear(connector);
    await until(() => !isAlive(first!));
    expect(await get(connector)).toBeUndefined();
    expect(host.pids()).not.toContain(first);
  });

  it('are replaced after a crash, whoever ends them', async () => {
    const { connector, host } = shell({ 'Find-TenureAccount': 'crash' });
    await get(connector);
    process.kill(host.pids()[0]!, 'SIGKILL');
    await until(() => host.pids().length === 0);
    expect(await get(connector)).toBeUndefined();
    const crash = connector.find({ attribute: 'login', value: 'a' }, newContext());
    await expect(crash).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
    expect(await get(connector)).toBeUndefined();
  });

  it('an error of a script leaves them usable', async () => {
    const { connector, host } = shell({ 'Find-TenureAccount': 'throttled' });
    await get(connector);
    const pids = host.pids();
    const throttled = connector.find({ attribute: 'login', value: 'a' }, newContext());
    await expect(throttled).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 7000, sent: false });
    await get(connector);
    expect(host.pids()).toEqual(pids);
  });
});

describe('what a host says', () => {
  it('before it is ready does not matter; other scripts than configured are refused', async () => {
    const { command } = (world.config() as { host: { command: string[] } }).host;
    const banner = shell({}, { host: { command: [...command, '--banner'] } });
    expect(await get(banner.connector)).toBeUndefined();
    const other = shell({}, { scripts: 'another' });
    await expect(get(other.connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'other-scripts' });
  });

  it.each(['noise', 'other-id', 'endless', 'own-code', 'odd-result'])(
    'instead of an answer (%s): a read is UNAVAILABLE, a write AMBIGUOUS, and nothing of it is shown',
    async (behaviour) => {
      const { ref } = await shell().connector.create!(spec('grace'), newContext());
      // What a plain write gives back is not looked at: only its being an answer counts.
      const plainWrite = behaviour === 'odd-result' ? 'crash' : behaviour;
      const wrong = {
        'Get-TenureAccountPage': behaviour,
        'New-TenureAccount': behaviour,
        'Disable-TenureAccount': plainWrite,
      };
      const { connector, lines } = shell(wrong, { maxAnswerBytes: 100_000 });
      const fail = async (work: Promise<unknown>) => (await work.catch((error: unknown) => error)) as Error;
      const read = await fail(connector.list({ objectClass: 'account', pageSize: 1 }, newContext()));
      const write = await fail(connector.create!(spec('ada'), newContext()));
      expect(read).toMatchObject({ code: 'UNAVAILABLE', sent: false });
      expect(write).toMatchObject({ code: 'AMBIGUOUS', sent: true });
      expect(await fail(connector.disable!(ref, newContext()))).toMatchObject({ code: 'AMBIGUOUS', sent: true });
      expect(inspect([read, write, lines])).not.toMatch(/Ada|Lovelace/);
      expect(await get(connector)).toBeUndefined();
    },
  );

  it('after its answer makes the session useless, not the answer', async () => {
    const { connector, host } = shell({ 'Get-TenureAccount': 'late' });
    expect(await get(connector)).toBeUndefined();
    const [first] = host.pids();
    await delay(1000);
    expect(await get(connector)).toBeUndefined();
    expect(host.pids()).not.toContain(first);
  });

  it('in an error is reduced to codes and names that are known', async () => {
    const { connector } = shell({ 'Find-TenureAccount': 'personal-error', 'Disable-TenureAccount': 'unclear-error' });
    const found: unknown = await connector
      .find({ attribute: 'login', value: 'a' }, newContext())
      .catch((e: unknown) => e);
    expect(found).toMatchObject({ code: 'INVALID', targetCode: 'unclear-code', attribute: undefined });
    expect(inspect(found)).not.toContain('Ada');
    const { connector: plain } = shell();
    const { ref } = await plain.create!(spec('ada'), newContext());
    // The script cannot say whether it wrote: nor can we.
    const unclear = connector.disable!(ref, newContext());
    await expect(unclear).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true, targetCode: 'RemoteException' });
  });

  it('on its error stream is counted, and kept nowhere', async () => {
    const { connector, lines } = shell({ 'Get-TenureAccount': 'complain' });
    await get(connector);
    await connector.close();
    const said = lines.join('\n');
    expect(said).toMatch(/"stderrBytes":\d+.*host ended/);
    expect(said).not.toMatch(/Ada|hunter2/);
  });

  it('about another account than asked for is not believed', async () => {
    const { connector } = shell();
    const { ref } = await connector.create!(spec('ada'), newContext());
    const file = join(world.folder, 'state.json');
    const state = JSON.parse(text(file)) as { accounts: Record<string, object> };
    writeFileSync(
      file,
      JSON.stringify({ accounts: { [ref.nativeId]: { ...state.accounts[ref.nativeId], id: 'other' } } }),
    );
    const ctx: OperationContext = newContext();
    await expect(connector.get(ref, ctx)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'other-account' });
  });
});

describe('the sets that ship', () => {
  it.each(['active-directory', 'exchange', 'sharepoint'])('%s can do what is committed', (scripts) => {
    const attributes =
      scripts === 'active-directory' ? { externalId: 'extensionAttribute1' } : { displayName: 'DisplayName' };
    const config = powershellConfigSchema.parse({ host: { command: ['/usr/bin/pwsh'] }, scripts, attributes });
    const { objectClasses, ...rest } = committedCapabilities('powershell', scripts);
    const account = { ...objectClasses.account, findBy: Object.keys(attributes) };
    expect(powershellCapabilities(config)).toEqual({ ...rest, objectClasses: { account } });
  });
});
