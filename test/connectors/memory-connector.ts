import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type {
  AccountRef,
  Attributes,
  AttributeValue,
  Capabilities,
  Connector,
  CredentialKind,
  Forwarding,
  MutationResult,
  ObservedAccount,
  OperationContext,
} from '../../src/connectors/connector.js';
import { connectorOperations } from '../../src/connectors/connector.js';
import { ConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../src/connectors/errors.js';
import type { ConnectorFactory } from '../../src/connectors/registry.js';
import { parseConfig } from '../../src/connectors/registry.js';
import { Secret } from '../../src/connectors/secret.js';
import { effectiveDeltas } from '../../src/connectors/shared/attributes.js';
import { compareState } from '../../src/connectors/shared/compare.js';

export const memoryGroups = ['staff', 'admins'] as const;
const attributeNames = ['externalId', 'displayName', 'title', 'mails'];
const required = ['displayName'];

export interface MemoryAccount {
  readonly ref: AccountRef;
  login: string;
  enabled: boolean;
  secret: string | undefined;
  attributes: Record<string, AttributeValue>;
  readonly entitlements: Set<string>;
  readonly sessions: Set<string>;
  readonly credentials: Set<CredentialKind>;
  /** Leases, privileged sessions and checked-out secrets together. */
  privileges: number;
  owned: number;
  forwarding: Forwarding | undefined;
}

/** A target in memory, with its state open for oracles, and an effect count that only it keeps. */
export class MemoryTarget {
  readonly accounts = new Map<string, MemoryAccount>();
  readonly effects: { operation: string; nativeId: string }[] = [];
  #serial = 0;

  nextId(): string {
    this.#serial += 1;
    return `memory-${this.#serial}`;
  }

  byLogin(login: string): MemoryAccount | undefined {
    return [...this.accounts.values()].find((account) => account.login === login);
  }

  signIn(login: string, secret: string): 'accepted' | 'disabled' | 'wrong-secret' {
    const account = this.byLogin(login);
    if (account?.secret === undefined || account.secret !== secret) {
      return 'wrong-secret';
    }
    return account.enabled ? 'accepted' : 'disabled';
  }

  openSession(login: string): string | undefined {
    const token = randomUUID();
    return this.byLogin(login)?.sessions.add(token) === undefined ? undefined : token;
  }
}

export const memoryCapabilities: Capabilities = {
  objectClasses: { account: { operations: connectorOperations, findBy: attributeNames } },
  signInProbe: true,
  atomicSeal: true,
  entitlements: true,
  rename: true,
  sessions: true,
  archive: true,
  consistencyWindowMs: 0,
  adoptionKey: 'externalId',
};

const configSchema = z.strictObject({ url: z.url(), size: z.int().optional() });

/** The factory of memory connectors, each on a target of its own. */
export const memoryFactory: ConnectorFactory = {
  kind: 'memory',
  descriptor: { kind: 'memory', version: '1', title: 'In memory', configSchema: {} },
  configSchema,
  create: (application, config) => {
    parseConfig(configSchema, application, config);
    return createMemoryConnector(new MemoryTarget(), application);
  },
};

/** An honest connector to a target in memory: it keeps every promise that the kit checks. */
export function createMemoryConnector(target: MemoryTarget, application = 'x'): Connector {
  const fail = (code: ConnectorErrorCode, operation: string, attribute?: string): never => {
    throw new ConnectorError({ code, operation, sent: false, attribute });
  };
  const guard = (operation: string, ctx: OperationContext, objectClass = 'account'): void => {
    if (objectClass !== 'account') fail('UNSUPPORTED', operation);
    if (ctx.signal.aborted || Date.parse(ctx.deadline) <= Date.now()) fail('TIMEOUT', operation);
  };
  const need = (ref: AccountRef, operation: string): MemoryAccount =>
    target.accounts.get(ref.nativeId) ?? fail('NOT_FOUND', operation);
  /** Applies a change that is needed; the effect is counted where it happens. */
  const write = async (
    operation: string,
    ref: AccountRef,
    isNeeded: (account: MemoryAccount) => boolean,
    apply: (account: MemoryAccount) => void,
    ctx: OperationContext,
  ): Promise<MutationResult> => {
    guard(operation, ctx, ref.objectClass);
    const account = need(ref, operation);
    if (!isNeeded(account)) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await ctx.sentMarker?.();
    guard(operation, ctx);
    apply(account);
    target.effects.push({ operation, nativeId: ref.nativeId });
    return { outcome: 'applied', ref, changed: [] };
  };
  const checkAttributes = (attributes: Attributes, operation: string): void => {
    for (const [name, value] of Object.entries(attributes)) {
      const emptied = required.includes(name) && (value === null || value === '');
      if (!attributeNames.includes(name) || emptied) fail('INVALID', operation, name);
    }
  };

  return {
    descriptor: memoryFactory.descriptor,
    capabilities: () => memoryCapabilities,
    schema: () =>
      Promise.resolve({
        objectClasses: [
          {
            name: 'account',
            attributes: attributeNames.map((name) => ({
              name,
              type: 'string' as const,
              required: required.includes(name),
              writable: true,
            })),
          },
        ],
      }),
    health: () => Promise.resolve({ ok: true, latencyMs: 0 }),
    validate: () => Promise.resolve([]),
    close: () => Promise.resolve(),
    list: async (query, ctx) => {
      guard('list', ctx, query.objectClass);
      const serial = (account: MemoryAccount): number => Number(account.ref.nativeId.split('-')[1]);
      const rest = [...target.accounts.values()].filter((account) => serial(account) > Number(query.cursor ?? 0));
      const items = rest.slice(0, query.pageSize).map(observe);
      const last = rest[items.length - 1];
      return rest.length > query.pageSize && last !== undefined
        ? { items, complete: false, next: String(serial(last)) }
        : { items, complete: true };
    },
    get: async (ref, ctx) => {
      guard('get', ctx, ref.objectClass);
      const account = target.accounts.get(ref.nativeId);
      return account === undefined ? undefined : observe(account);
    },
    find: async (by, ctx) => {
      guard('find', ctx);
      if (by.attribute !== 'login' && !attributeNames.includes(by.attribute)) fail('INVALID', 'find', by.attribute);
      const value = (account: MemoryAccount) =>
        by.attribute === 'login' ? account.login : account.attributes[by.attribute];
      return [...target.accounts.values()].filter((account) => value(account) === by.value).map(observe);
    },
    create: async (spec, ctx) => {
      guard('create', ctx, spec.objectClass);
      const attributes: Attributes = { externalId: ctx.idempotencyKey, ...spec.attributes };
      checkAttributes(attributes, 'create');
      const same = [...target.accounts.values()].find(
        (account) => account.attributes['externalId'] === attributes['externalId'],
      );
      if (same !== undefined) {
        return { outcome: 'already-in-state', ref: same.ref, changed: [] };
      }
      if (target.byLogin(spec.login) !== undefined) fail('ALREADY_EXISTS', 'create', 'login');
      await ctx.sentMarker?.();
      guard('create', ctx);
      if (target.byLogin(spec.login) !== undefined) fail('ALREADY_EXISTS', 'create', 'login');
      const ref = { application, objectClass: 'account', nativeId: target.nextId() };
      const { login, enabled } = spec;
      target.accounts.set(ref.nativeId, {
        ref,
        login,
        enabled,
        secret: undefined,
        attributes: { ...attributes },
        entitlements: new Set(),
        sessions: new Set(),
        credentials: new Set(),
        privileges: 0,
        owned: 0,
        forwarding: undefined,
      });
      target.effects.push({ operation: 'create', nativeId: ref.nativeId });
      return { outcome: 'applied', ref, changed: [] };
    },
    update: async (ref, delta, ctx) => {
      guard('update', ctx, ref.objectClass);
      const account = need(ref, 'update');
      const changes = effectiveDeltas({ ...account.attributes, login: account.login }, delta);
      const { login, ...attributes } = Object.fromEntries(changes.map((change) => [change.attribute, change.value]));
      checkAttributes(attributes, 'update');
      if (login !== undefined && (typeof login !== 'string' || login === '')) fail('INVALID', 'update', 'login');
      if (login !== undefined && target.byLogin(String(login)) !== undefined) fail('ALREADY_EXISTS', 'update', 'login');
      const apply = (): void => {
        account.login = login === undefined || login === null ? account.login : String(login);
        Object.assign(account.attributes, attributes);
      };
      return { ...(await write('update', ref, () => changes.length > 0, apply, ctx)), changed: changes };
    },
    disable: (ref, ctx) =>
      write(
        'disable',
        ref,
        (a) => a.enabled,
        (a) => void (a.enabled = false),
        ctx,
      ),
    enable: (ref, ctx) =>
      write(
        'enable',
        ref,
        (a) => !a.enabled,
        (a) => void (a.enabled = true),
        ctx,
      ),
    delete: async (ref, ctx) => {
      guard('delete', ctx, ref.objectClass);
      return target.accounts.has(ref.nativeId)
        ? write(
            'delete',
            ref,
            () => true,
            () => void target.accounts.delete(ref.nativeId),
            ctx,
          )
        : { outcome: 'already-in-state', ref, changed: [] };
    },
    archive: (ref, ctx) =>
      write(
        'archive',
        ref,
        (a) => a.attributes['title'] !== 'archived',
        (a) => void (a.attributes['title'] = 'archived'),
        ctx,
      ),
    seal: async (ref, secret, ctx) => {
      const apply = (account: MemoryAccount): void => {
        account.secret = secret.reveal();
        account.enabled = false;
      };
      return { ...(await write('seal', ref, () => true, apply, ctx)), atomic: true };
    },
    listMembers: async (group, _cursor, ctx) => {
      guard('listMembers', ctx);
      return {
        items: [...target.accounts.values()].filter((a) => a.entitlements.has(group.name)).map((a) => a.ref),
        complete: true,
      };
    },
    addMember: async (group, ref, ctx) => {
      if (!memoryGroups.some((name) => name === group.name)) fail('INVALID', 'addMember', 'entitlement');
      return write(
        'addMember',
        ref,
        (a) => !a.entitlements.has(group.name),
        (a) => void a.entitlements.add(group.name),
        ctx,
      );
    },
    removeMember: (group, ref, ctx) =>
      write(
        'removeMember',
        ref,
        (a) => a.entitlements.has(group.name),
        (a) => void a.entitlements.delete(group.name),
        ctx,
      ),
    listSessions: async (ref, ctx) => {
      guard('listSessions', ctx);
      return { count: need(ref, 'listSessions').sessions.size, road: 'memory' };
    },
    revokeSessions: (ref, ctx) =>
      write(
        'revokeSessions',
        ref,
        (a) => a.sessions.size > 0,
        (a) => a.sessions.clear(),
        ctx,
      ),
    setSecret: (ref, secret, ctx) =>
      write(
        'setSecret',
        ref,
        () => true,
        (a) => void (a.secret = secret.reveal()),
        ctx,
      ),
    resetCredentials: async (ref, sink, ctx) => {
      const secret = Secret.random();
      const result = await write(
        'resetCredentials',
        ref,
        () => true,
        (a) => void (a.secret = secret.reveal()),
        ctx,
      );
      return { ...result, secretReference: (await sink.put(secret)).reference };
    },
    listCredentials: async (ref, ctx) => {
      guard('listCredentials', ctx);
      const credentials = [...need(ref, 'listCredentials').credentials].map((kind) => ({ kind, id: kind }));
      return { credentials, road: 'memory' };
    },
    revokeCredentials: (ref, ctx) =>
      write(
        'revokeCredentials',
        ref,
        (a) => a.credentials.size > 0,
        (a) => a.credentials.clear(),
        ctx,
      ),
    listPrivileges: async (ref, ctx) => {
      guard('listPrivileges', ctx);
      return { leases: need(ref, 'listPrivileges').privileges, sessions: 0, checkedOut: 0, road: 'memory' };
    },
    checkIn: (ref, ctx) =>
      write(
        'checkIn',
        ref,
        (a) => a.privileges > 0,
        (a) => void (a.privileges = 0),
        ctx,
      ),
    listOwned: async (ref, ctx) => {
      guard('listOwned', ctx);
      return { count: need(ref, 'listOwned').owned, road: 'memory' };
    },
    transferOwned: async (ref, heir, ctx) => {
      guard('transferOwned', ctx);
      const to = target.accounts.get(heir.nativeId) ?? fail('NOT_FOUND', 'transferOwned', 'heir');
      const apply = (account: MemoryAccount): void => {
        to.owned += account.owned;
        account.owned = 0;
      };
      return write('transferOwned', ref, (a) => a.owned > 0, apply, ctx);
    },
    readForwarding: async (ref, ctx) => {
      guard('readForwarding', ctx);
      return need(ref, 'readForwarding').forwarding;
    },
    setForwarding: (ref, forwarding, ctx) => {
      const wanted = forwarding.to === undefined && forwarding.autoReply === undefined ? undefined : forwarding;
      return write(
        'setForwarding',
        ref,
        (a) => JSON.stringify(a.forwarding) !== JSON.stringify(wanted),
        (a) => void (a.forwarding = wanted),
        ctx,
      );
    },
    proveDelivery: async (ref, forwarding, ctx) => {
      guard('proveDelivery', ctx);
      const held = need(ref, 'proveDelivery').forwarding;
      const wantsReply = forwarding.autoReply !== undefined;
      const delivered = held?.to === forwarding.to;
      return { delivered, replied: wantsReply ? held?.autoReply !== undefined : undefined, road: 'memory' };
    },
    anonymise: (ref, ctx) =>
      write(
        'anonymise',
        ref,
        (a) => a.login !== `gone-${ref.nativeId}`,
        (a) => {
          a.login = `gone-${ref.nativeId}`;
          a.enabled = false;
          a.attributes = { displayName: a.login };
        },
        ctx,
      ),
    probeSignIn: async (login, secret, ctx) => {
      guard('probeSignIn', ctx);
      const answer = target.signIn(login, secret.reveal());
      return { answer, code: answer, road: 'memory:sign-in' };
    },
    verify: async (expected, ctx) => {
      guard('verify', ctx, expected.ref.objectClass);
      const account = target.accounts.get(expected.ref.nativeId);
      return compareState(expected, account === undefined ? undefined : observe(account), 'memory:state');
    },
  };
}

function observe(account: MemoryAccount): ObservedAccount {
  return {
    ref: account.ref,
    login: account.login,
    status: account.enabled ? 'enabled' : 'disabled',
    attributes: { ...account.attributes },
    entitlements: [...account.entitlements],
  };
}
