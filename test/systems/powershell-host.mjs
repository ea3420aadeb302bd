/**
 * Stands in for a PowerShell host: the same protocol, another program. No PowerShell can run here, so this shows what the
 * connector does, and nothing of the scripts. Accounts are in a file, so that all sessions see the same ones.
 *
 * node powershell-host.mjs STATE-FILE SCRIPTS [--banner]
 */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [stateFile, scripts, ...flags] = process.argv.slice(2);
const CREDENTIAL = 'let-me-in';
const PROPERTIES = ['displayName', 'department', 'mails', 'seats', 'vip', 'tenureKey'];
const GROUPS = ['staff', 'finance'];

class Fault extends Error {
  constructor(code, more = {}) {
    super(code);
    this.fields = { code, ...more };
  }
}

function locked(work) {
  const lock = `${stateFile}.lock`;
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
    }
  }
  try {
    return work();
  } finally {
    rmdirSync(lock);
  }
}

const load = () => JSON.parse(readFileSync(stateFile, 'utf8'));

/** Changes the state, on the disk before anybody hears of it. */
function change(work) {
  return locked(() => {
    const state = load();
    const result = work(state);
    writeFileSync(`${stateFile}.${process.pid}`, JSON.stringify(state));
    renameSync(`${stateFile}.${process.pid}`, stateFile);
    return result;
  });
}

const digest = (text) => createHash('sha256').update(text).digest('hex');
const sorted = (state) => Object.values(state.accounts).sort((a, b) => (a.id < b.id ? -1 : 1));
const byLogin = (state, login) => sorted(state).find((one) => one.login.toLowerCase() === login.toLowerCase());

function need(state, id, attribute) {
  const account = state.accounts[id];
  if (account === undefined) throw new Fault('NOT_FOUND', { targetCode: 'NoSuchAccount', attribute, sent: false });
  return account;
}

function needGroup(name) {
  if (!GROUPS.includes(name)) {
    throw new Fault('INVALID', { targetCode: 'NoSuchGroup', attribute: 'entitlement', sent: false });
  }
}

function shown(account, properties) {
  const held = properties.filter((name) => account.properties[name] !== undefined);
  return {
    nativeId: account.id,
    login: account.login,
    status: account.enabled ? 'enabled' : 'disabled',
    properties: Object.fromEntries(held.map((name) => [name, account.properties[name]])),
    entitlements: account.groups,
  };
}

function setProperties(account, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (!PROPERTIES.includes(name)) throw new Fault('INVALID', { attribute: name, sent: false });
    if (value === null) delete account.properties[name];
    else account.properties[name] = value;
  }
}

const page = (all, { after, size }, idOf) => {
  const rest = all.filter((one) => after === null || idOf(one) > after);
  return { part: rest.slice(0, size), more: rest.length > size };
};

const functions = {
  'Test-TenureConnection': () => null,
  'Get-TenureSchema': () => ({ properties: PROPERTIES }),
  'Get-TenureAccount': ({ nativeId, properties }) => {
    const account = load().accounts[nativeId];
    return account === undefined ? null : shown(account, properties);
  },
  'Find-TenureAccount': ({ property, value, properties }) => {
    const found = sorted(load()).filter((one) => (property === null ? one.login : one.properties[property]) === value);
    return { accounts: found.map((one) => shown(one, properties)) };
  },
  'Get-TenureAccountPage': (args) => {
    const { part, more } = page(sorted(load()), args, (one) => one.id);
    return { accounts: part.map((one) => shown(one, args.properties)), more };
  },
  'New-TenureAccount': ({ login, enabled, properties }) =>
    change((state) => {
      if (byLogin(state, login) !== undefined) throw new Fault('ALREADY_EXISTS', { attribute: 'login', sent: false });
      const account = { id: randomUUID(), login, enabled, properties: {}, groups: [], sessions: [], owned: 0 };
      setProperties(account, properties);
      state.accounts[account.id] = account;
      return { nativeId: account.id };
    }),
  'Set-TenureAccount': ({ nativeId, login, properties }) =>
    change((state) => {
      const account = need(state, nativeId);
      const taken = login === null ? undefined : byLogin(state, login);
      if (taken !== undefined && taken.id !== nativeId) {
        throw new Fault('ALREADY_EXISTS', { attribute: 'login', sent: false });
      }
      setProperties(account, properties);
      account.login = login ?? account.login;
    }),
  'Disable-TenureAccount': ({ nativeId }) => change((state) => void (need(state, nativeId).enabled = false)),
  'Enable-TenureAccount': ({ nativeId }) => change((state) => void (need(state, nativeId).enabled = true)),
  'Remove-TenureAccount': ({ nativeId }) => change((state) => void delete state.accounts[nativeId]),
  'Protect-TenureAccount': ({ nativeId }, { secret }) =>
    change((state) => Object.assign(need(state, nativeId), { enabled: false, secret: digest(secret) })),
  'Set-TenureSecret': ({ nativeId }, { secret }) =>
    change((state) => void (need(state, nativeId).secret = digest(secret))),
  'Get-TenureMemberPage': (args) => {
    needGroup(args.entitlement);
    const members = sorted(load()).filter((one) => one.groups.includes(args.entitlement));
    const { part, more } = page(members, args, (one) => one.id);
    return { members: part.map((one) => one.id), more };
  },
  'Add-TenureMember': ({ nativeId, entitlement }) =>
    change((state) => {
      needGroup(entitlement);
      const account = need(state, nativeId);
      account.groups = [...new Set([...account.groups, entitlement])];
    }),
  'Remove-TenureMember': ({ nativeId, entitlement }) =>
    change((state) => {
      const account = need(state, nativeId);
      account.groups = account.groups.filter((name) => name !== entitlement);
    }),
  'Get-TenureSessionCount': ({ nativeId }) => ({ count: need(load(), nativeId).sessions.length }),
  'Revoke-TenureSession': ({ nativeId }) => change((state) => void (need(state, nativeId).sessions = [])),
  'Get-TenureOwnedCount': ({ nativeId }) => ({ count: need(load(), nativeId).owned }),
  'Move-TenureOwned': ({ nativeId, heir }) =>
    change((state) => {
      const to = need(state, heir, 'heir');
      const from = need(state, nativeId);
      to.owned += from.owned;
      from.owned = 0;
    }),
  'Get-TenureForwarding': ({ nativeId }) => need(load(), nativeId).forwarding ?? null,
  'Set-TenureForwarding': ({ nativeId, to, keepsCopy, autoReply }) =>
    change((state) => {
      const isNone = to === null && autoReply === null;
      need(state, nativeId).forwarding = isNone ? null : { to, keepsCopy, autoReply };
    }),
  'Test-TenureSignIn': ({ login }, { secret }) => {
    const account = byLogin(load(), login);
    if (account?.secret !== digest(secret)) return { answer: 'wrong-secret', code: '52e' };
    return account.enabled ? { answer: 'accepted', code: '0' } : { answer: 'disabled', code: '533' };
  },
};

let opened;

function open({ allowed, settings }, secrets) {
  if (secrets?.credential !== CREDENTIAL) throw new Fault('UNAUTHENTICATED', { targetCode: 'BadCredential' });
  opened = { allowed: new Set(allowed), behaviour: new Map((settings.behaviour ?? []).map((one) => one.split('='))) };
  opened.pidFile = settings.pidFile;
  return null;
}

function run({ command, arguments: args, secrets }) {
  if (command === 'Open-TenureConnection') return open(args, secrets);
  const known = opened?.allowed.has(command) && Object.hasOwn(functions, command);
  if (!known) throw new Fault('UNSUPPORTED', { targetCode: 'NotAllowed', sent: false });
  return functions[command](args, secrets);
}

const say = (frame) => process.stdout.write(`${JSON.stringify(frame)}\n`);

/** What goes wrong on request. True: the line is not answered as usual. */
const misbehaviours = {
  hang: () => true,
  'fork-and-hang': () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], { stdio: 'inherit' });
    writeFileSync(opened.pidFile, String(child.pid));
    return true;
  },
  crash: () => process.exit(3),
  noise: () => void process.stdout.write('WARNING: Ada Lovelace is not what she was\n'),
  'other-id': (id) => void say({ id: `${id}0`, ok: true, result: null }),
  late: (id) => void setTimeout(() => say({ id, ok: true, result: null }), 50),
  endless: () => {
    for (let size = 0; size < 64; size += 1) process.stdout.write('x'.repeat(65_536));
    return true;
  },
  complain: () => void process.stderr.write('Ada Lovelace: access denied, password hunter2\n'),
  'personal-error': (id) => {
    const error = { code: 'INVALID', targetCode: 'Ada Lovelace is no user', attribute: 'Ada', message: 'Ada Lovelace' };
    say({ id, ok: false, error });
    return true;
  },
  'unclear-error': (id) => (
    say({ id, ok: false, error: { code: 'UNAVAILABLE', targetCode: 'RemoteException' } }),
    true
  ),
  'own-code': (id) => (say({ id, ok: false, error: { code: 'EXPLODED' } }), true),
  throttled: (id) => (say({ id, ok: false, error: { code: 'RATE_LIMITED', retryAfterMs: 7000, sent: false } }), true),
  'odd-result': (id) => (say({ id, ok: true, result: { who: 'Ada Lovelace' } }), true),
};

if (flags.includes('--banner')) process.stdout.write('Welcome, Ada Lovelace!\n{"tenure":"nearly"}\n\n');
if (flags.includes('--mute')) setInterval(() => undefined, 1000);
else say({ tenure: 'ready', protocol: 1, scripts, functions: [...Object.keys(functions), 'Open-TenureConnection'] });

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const misbehaviour = misbehaviours[opened?.behaviour.get(request.command)];
  if (misbehaviour?.(request.id) === true) continue;
  try {
    say({ id: request.id, ok: true, result: run(request) ?? null });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    say({ id: request.id, ok: false, error: error.fields });
  }
}
