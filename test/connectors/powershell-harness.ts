import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AttributeValue, Connector, Forwarding } from '../../src/connectors/connector.js';
import { powershellConfigSchema } from '../../src/connectors/powershell/config.js';
import type { Host } from '../../src/connectors/powershell/host.js';
import { createHost } from '../../src/connectors/powershell/host.js';
import { createPowershellConnector, powershellFactory } from '../../src/connectors/powershell/index.js';
import { Secret } from '../../src/connectors/secret.js';
import { runFolder } from '../support/run-folder.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { Beyond, Harness, Peeked } from './kit/harness.js';

const program = (name: string): string => fileURLToPath(new URL(`../systems/${name}`, import.meta.url));
const hostProgram = program('powershell-host.mjs');
const faultPipe = program('powershell-fault-pipe.mjs');

/** Everything that the stand-in can do, as the scripts of one's own. */
export const ownOperations = {
  list: 'Get-TenureAccountPage',
  get: 'Get-TenureAccount',
  find: 'Find-TenureAccount',
  create: 'New-TenureAccount',
  update: 'Set-TenureAccount',
  disable: 'Disable-TenureAccount',
  enable: 'Enable-TenureAccount',
  delete: 'Remove-TenureAccount',
  seal: 'Protect-TenureAccount',
  listMembers: 'Get-TenureMemberPage',
  addMember: 'Add-TenureMember',
  removeMember: 'Remove-TenureMember',
  listSessions: 'Get-TenureSessionCount',
  revokeSessions: 'Revoke-TenureSession',
  setSecret: 'Set-TenureSecret',
  listOwned: 'Get-TenureOwnedCount',
  transferOwned: 'Move-TenureOwned',
  readForwarding: 'Get-TenureForwarding',
  setForwarding: 'Set-TenureForwarding',
  probeSignIn: 'Test-TenureSignIn',
} as const;

interface StandInAccount {
  readonly id: string;
  readonly login: string;
  enabled: boolean;
  properties: Record<string, AttributeValue>;
  groups: string[];
  sessions: string[];
  owned: number;
  secret?: string;
  forwarding?: { to: string | null; keepsCopy: boolean; autoReply: { subject: string; text: string } | null } | null;
}
interface State {
  accounts: Record<string, StandInAccount>;
}

/** A stand-in's directory: its file is what the oracle reads and changes. */
export interface World {
  readonly folder: string;
  read(): State;
  change(work: (state: State) => void): Promise<void>;
  config(changes?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  remove(): void;
}

export function newWorld(scripts = 'directory'): World {
  const folder = mkdtempSync(join(runFolder(), 'powershell-'));
  const file = join(folder, 'state.json');
  writeFileSync(file, JSON.stringify({ accounts: {} }));
  const read = (): State => JSON.parse(readFileSync(file, 'utf8')) as State;
  return {
    folder,
    read,
    change: async (work) => {
      for (;;) {
        try {
          mkdirSync(`${file}.lock`);
          break;
        } catch {
          await delay(3);
        }
      }
      const state = read();
      work(state);
      writeFileSync(`${file}.oracle`, JSON.stringify(state));
      renameSync(`${file}.oracle`, file);
      rmdirSync(`${file}.lock`);
    },
    config: (changes = {}) => ({
      host: { command: [process.execPath, hostProgram, file, scripts] },
      scripts,
      ...(scripts === 'directory' ? { operations: ownOperations, rename: true } : {}),
      secrets: { credential: 'env:DIRECTORY_CREDENTIAL' },
      attributes: {
        externalId: 'tenureKey',
        displayName: { property: 'displayName', required: true },
        department: 'department',
        mails: { property: 'mails', type: 'strings' },
        seats: { property: 'seats', type: 'number' },
        vip: { property: 'vip', type: 'boolean' },
      },
      ...changes,
    }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A connector, and the hosts behind it to look at. */
export function shellConnector(
  config: unknown,
  credential = 'let-me-in',
  logger = newContext().logger,
): { connector: Connector; host: Host } {
  const parsed = powershellConfigSchema.parse(config);
  const host = createHost(parsed, { credential: new Secret(credential) }, logger);
  return { connector: createPowershellConnector({ application: 'x', config: parsed, host }), host };
}

export async function powershellHarness(scripts: string): Promise<Harness> {
  const world = newWorld(scripts);
  const config = world.config();
  const { connector } = shellConnector(config);
  const account = (nativeId: string): StandInAccount | undefined => world.read().accounts[nativeId];
  const change = (nativeId: string, work: (account: StandInAccount) => void): Promise<void> =>
    world.change((state) => work(state.accounts[nativeId]!));
  return {
    name: `powershell, ${scripts}`,
    connector,
    factory: powershellFactory,
    committed: committedCapabilities('powershell', scripts === 'directory' ? 'own' : scripts),
    wrongConfig: {
      config: { ...config, host: { command: ['pwsh', 'env:PASSWORD'] }, adoptionKey: 'nope', timeoutMs: 0 },
      paths: ['host.command', 'timeoutMs'],
    },
    sampleAccount: () => ({
      objectClass: 'account',
      login: `u${randomUUID().slice(0, 13)}`,
      enabled: true,
      attributes: { displayName: 'Sample Person', department: 'Research', seats: -3, vip: true },
    }),
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien; $(Get-Date) \`whoami\` & | 王秀英 😀\r\nsecond\u2028line\u0000`,
      department: `$env:PATH ${'x'.repeat(9000)}`,
      mails: ['one@example.test', "'; Remove-Item x; '", ' leading + blank'],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'mails',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '00000000-0000-4000-8000-000000000000',
    group: 'staff',
    peek: (ref) => Promise.resolve(peeked(account(ref.nativeId))),
    countByLogin: (login) =>
      Promise.resolve(Object.values(world.read().accounts).filter((one) => one.login === login).length),
    snapshot: () => Promise.resolve(JSON.stringify(world.read())),
    plant: {
      attribute: (ref, value) => change(ref.nativeId, (one) => void (one.properties['department'] = value)),
      enabled: (ref, enabled) => change(ref.nativeId, (one) => void (one.enabled = enabled)),
      membership: (ref, held) => change(ref.nativeId, (one) => void (one.groups = held ? ['staff'] : [])),
      owned: (ref) => change(ref.nativeId, (one) => void (one.owned += 1)),
    },
    peekBeyond: (ref) => Promise.resolve(beyond(account(ref.nativeId))),
    unreachable: () => shellConnector(world.config({ host: { command: [join(world.folder, 'nowhere')] } })).connector,
    wrongCredential: () => shellConnector(config, 'wrong').connector,
    throughProxy: () => Promise.resolve(throughPipe(world, scripts)),
    openSession: async (login) => {
      const id = Object.values(world.read().accounts).find((one) => one.login === login)!.id;
      await change(id, (one) => void one.sessions.push('s'));
      return {
        isOpen: () => Promise.resolve((account(id)?.sessions.length ?? 0) > 0),
        close: () => Promise.resolve(),
      };
    },
    stop: async () => {
      await connector.close();
      world.remove();
    },
  };
}

function throughPipe(world: World, scripts: string): Awaited<ReturnType<NonNullable<Harness['throughProxy']>>> {
  const modeFile = join(world.folder, `mode-${randomUUID()}`);
  const set = (mode: string): void => {
    // Replaced in one step: the pipe must never read half a word.
    writeFileSync(`${modeFile}.new`, mode);
    renameSync(`${modeFile}.new`, modeFile);
  };
  set('pass');
  const command = [
    process.execPath,
    faultPipe,
    modeFile,
    process.execPath,
    hostProgram,
    join(world.folder, 'state.json'),
  ];
  const { connector } = shellConnector(world.config({ host: { command: [...command, scripts] } }));
  return { connector, fail: set, close: () => connector.close() };
}

function peeked(account: StandInAccount | undefined): Peeked | undefined {
  if (account === undefined) return undefined;
  const { tenureKey, ...properties } = account.properties;
  const attributes = { ...properties, externalId: tenureKey ?? null };
  return { login: account.login, enabled: account.enabled, attributes, entitlements: account.groups };
}

function beyond(account: StandInAccount | undefined): Beyond {
  const held = account?.forwarding ?? undefined;
  const forwarding: Forwarding | undefined =
    held === undefined
      ? undefined
      : {
          to: held.to ?? undefined,
          keepsCopy: held.keepsCopy,
          ...(held.autoReply === null ? {} : { autoReply: held.autoReply }),
        };
  return { owned: account?.owned ?? 0, forwarding };
}
