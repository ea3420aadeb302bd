import { z } from 'zod';
import type {
  AccountRef,
  AttributeValue,
  Capabilities,
  Connector,
  ConnectorDescriptor,
  MutationResult,
  ObservedAccount,
} from '../src/connectors/connector.js';
import { connectorOperations } from '../src/connectors/connector.js';
import type { ConnectorFactory } from '../src/connectors/registry.js';
import { Secret } from '../src/connectors/secret.js';
import { compareState } from '../src/connectors/shared/compare.js';

const configSchema = z.looseObject({});
const descriptor: ConnectorDescriptor = {
  kind: 'noop',
  version: '1',
  title: 'In memory, for benches',
  configSchema: {},
};

interface NoopAccount {
  readonly ref: AccountRef;
  readonly key: string | undefined;
  login: string;
  enabled: boolean;
  secret: string | undefined;
  attributes: Record<string, AttributeValue>;
  readonly entitlements: Set<string>;
}

/**
 * A connector without any I/O, so that a bench sees the engine alone. It keeps accounts in memory and answers truly,
 * sign-in probes included; every operation succeeds, also on accounts that it does not know. Only for one process.
 */
export const noopFactory: ConnectorFactory = {
  kind: 'noop',
  descriptor,
  configSchema,
  create: (application) => createNoopConnector(application),
};

const capabilities: Capabilities = {
  objectClasses: { account: { operations: connectorOperations, findBy: ['*'] } },
  signInProbe: true,
  atomicSeal: true,
  entitlements: true,
  rename: true,
  sessions: true,
  archive: true,
  consistencyWindowMs: 0,
  adoptionKey: 'externalId',
};

/** One application's accounts in memory. */
export function createNoopConnector(application: string): Connector {
  const accounts = new Map<string, NoopAccount>();
  const byKey = new Map<string, NoopAccount>();
  const byLogin = new Map<string, NoopAccount>();
  let serial = 0;

  const known = (ref: AccountRef): NoopAccount => {
    const found = accounts.get(ref.nativeId);
    if (found !== undefined) {
      return found;
    }
    return remember({
      ref,
      key: undefined,
      login: ref.nativeId,
      enabled: true,
      secret: undefined,
      attributes: {},
      entitlements: new Set(),
    });
  };
  const remember = (account: NoopAccount): NoopAccount => {
    accounts.set(account.ref.nativeId, account);
    byLogin.set(account.login, account);
    return account;
  };
  const observe = (account: NoopAccount): ObservedAccount => ({
    ref: account.ref,
    login: account.login,
    status: account.enabled ? 'enabled' : 'disabled',
    attributes: account.attributes,
    entitlements: [...account.entitlements],
  });
  const write = async (
    ctx: { sentMarker?(): Promise<void> },
    account: NoopAccount,
    apply: () => boolean,
  ): Promise<MutationResult> => {
    await ctx.sentMarker?.();
    return { outcome: apply() ? 'applied' : 'already-in-state', ref: account.ref, changed: [] };
  };
  const setEnabled = (account: NoopAccount, enabled: boolean) => () => {
    const changes = account.enabled !== enabled;
    account.enabled = enabled;
    return changes;
  };

  return {
    descriptor,
    capabilities: () => capabilities,
    schema: () => Promise.resolve({ objectClasses: [{ name: 'account', attributes: [] }] }),
    health: () => Promise.resolve({ ok: true, latencyMs: 0 }),
    validate: () => Promise.resolve([]),
    close: () => Promise.resolve(),
    list: () => Promise.resolve({ items: [...accounts.values()].map(observe), complete: true }),
    get: (ref) => {
      const found = accounts.get(ref.nativeId);
      return Promise.resolve(found === undefined ? undefined : observe(found));
    },
    find: (by) => {
      const found = by.attribute === 'login' ? byLogin.get(by.value) : byKey.get(by.value);
      return Promise.resolve(found === undefined ? [] : [observe(found)]);
    },
    create: (spec, ctx) => {
      const key = String(spec.attributes['externalId'] ?? ctx.idempotencyKey);
      const adopted = byKey.get(key);
      if (adopted !== undefined) {
        return Promise.resolve({ outcome: 'already-in-state', ref: adopted.ref, changed: [] });
      }
      serial += 1;
      const ref = { application, objectClass: 'account', nativeId: `noop-${serial}` };
      const attributes = { ...spec.attributes };
      const account: NoopAccount = {
        ref,
        key,
        login: spec.login,
        enabled: spec.enabled,
        secret: undefined,
        attributes,
        entitlements: new Set(),
      };
      return write(ctx, account, () => {
        byKey.set(key, remember(account));
        return true;
      });
    },
    update: (ref, delta, ctx) =>
      write(ctx, known(ref), () => {
        const account = known(ref);
        for (const { attribute, value } of delta) {
          if (attribute === 'login') {
            byLogin.delete(account.login);
            account.login = String(value);
            byLogin.set(account.login, account);
          } else {
            account.attributes[attribute] = value;
          }
        }
        return true;
      }),
    disable: (ref, ctx) => write(ctx, known(ref), setEnabled(known(ref), false)),
    enable: (ref, ctx) => write(ctx, known(ref), setEnabled(known(ref), true)),
    delete: (ref, ctx) =>
      write(ctx, known(ref), () => {
        const { key, login } = known(ref);
        byLogin.delete(login);
        byKey.delete(key ?? '');
        return accounts.delete(ref.nativeId);
      }),
    archive: (ref, ctx) => write(ctx, known(ref), () => true),
    seal: async (ref, secret, ctx) => {
      known(ref).secret = secret.reveal();
      return { ...(await write(ctx, known(ref), setEnabled(known(ref), false))), atomic: true };
    },
    listMembers: (group) =>
      Promise.resolve({
        items: [...accounts.values()].filter((account) => account.entitlements.has(group.name)).map(({ ref }) => ref),
        complete: true,
      }),
    addMember: (group, ref, ctx) => write(ctx, known(ref), () => known(ref).entitlements.add(group.name).size > 0),
    removeMember: (group, ref, ctx) => write(ctx, known(ref), () => known(ref).entitlements.delete(group.name)),
    listSessions: () => Promise.resolve({ count: 0, road: 'noop' }),
    revokeSessions: (ref, ctx) => write(ctx, known(ref), () => false),
    setSecret: (ref, secret, ctx) =>
      write(ctx, known(ref), () => {
        known(ref).secret = secret.reveal();
        return true;
      }),
    resetCredentials: async (ref, sink, ctx) => {
      const secret = Secret.random();
      known(ref).secret = secret.reveal();
      const result = await write(ctx, known(ref), () => true);
      return { ...result, secretReference: (await sink.put(secret)).reference };
    },
    probeSignIn: (login, secret) => {
      const account = byLogin.get(login);
      const fits = account?.secret !== undefined && account.secret === secret.reveal();
      const answer = !fits ? 'wrong-secret' : account.enabled ? 'accepted' : 'disabled';
      return Promise.resolve({ answer, code: answer, road: 'noop' });
    },
    verify: (expected) => {
      const found = accounts.get(expected.ref.nativeId);
      return Promise.resolve(compareState(expected, found === undefined ? undefined : observe(found), 'noop'));
    },
  };
}
