import { describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector, MutationResult, OperationContext } from '../../src/connectors/connector.js';
import { ConnectorError, isConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorErrorDetails } from '../../src/connectors/errors.js';
import type { ConformanceGroupName } from './conformance.js';
import { conformanceGroups, describeConformance } from './conformance.js';
import type { MemoryTarget } from './memory-connector.js';
import { memoryHarness } from './memory-harness.js';

describeConformance('the honest connector in memory', () => Promise.resolve(memoryHarness()));
describeConformance('the honest connector in memory that makes no accounts', () =>
  Promise.resolve(memoryHarness(undefined, undefined, true)),
);

interface Breakage {
  readonly group: ConformanceGroupName;
  readonly how: string;
  readonly breakIt?: (honest: Connector, target: MemoryTarget) => Connector;
  /** Breaks what is made of a fault on the way. */
  readonly misread?: (honest: Connector) => Connector;
  /** A word of the problem that must be found. */
  readonly finds: RegExp;
}

const applied = (honest: Promise<MutationResult>): Promise<MutationResult> =>
  honest.then((result) => ({ ...result, outcome: 'applied' }));

/** A write whose error is reported with other details. */
const misreading =
  <T>(
    write: (given: T, ctx: OperationContext) => Promise<MutationResult>,
    details: Partial<ConnectorErrorDetails>,
  ): typeof write =>
  (given, ctx) =>
    write(given, ctx).catch((error: unknown) => {
      throw isConnectorError(error) ? new ConnectorError({ ...error, ...details }) : error;
    });

const leavesSessionsOpen: Breakage = {
  group: 'sessions and credentials',
  how: 'leaves sessions open',
  breakIt: (honest) => ({
    ...honest,
    revokeSessions: (ref) => Promise.resolve({ outcome: 'applied', ref, changed: [] }),
    listSessions: () => Promise.resolve({ count: 0, road: 'guess' }),
  }),
  finds: /survives its revocation/,
};

/** Each group must catch what it is for. Optional methods are there: the honest connector has them all. */
const breakages: readonly Breakage[] = [
  {
    group: 'descriptor',
    how: 'declares an operation that it does not have',
    breakIt: ({ archive: _archive, ...honest }) => honest,
    finds: /archive: method and capability differ/,
  },
  {
    group: 'descriptor',
    how: 'takes any object class',
    breakIt: (honest) => ({ ...honest, list: (query, ctx) => honest.list({ ...query, objectClass: 'account' }, ctx) }),
    finds: /unknown object class/,
  },
  {
    group: 'health',
    how: 'writes while it checks its health',
    breakIt: (honest, target) => ({
      ...honest,
      health: async (ctx) => {
        const attributes = { displayName: 'health check' };
        await honest.create!(
          { objectClass: 'account', login: `health-${target.effects.length}`, enabled: true, attributes },
          ctx,
        );
        return honest.health(ctx);
      },
    }),
    finds: /changed the target/,
  },
  {
    group: 'list',
    how: 'drops the last account of each page',
    breakIt: (honest) => ({
      ...honest,
      list: async (query, ctx) => {
        const page = await honest.list(query, ctx);
        return page.next === undefined ? page : { ...page, items: page.items.slice(0, -1) };
      },
    }),
    finds: /missing from the list/,
  },
  {
    group: 'list',
    how: 'repeats a cursor',
    breakIt: (honest) => ({
      ...honest,
      list: async (query, ctx) => {
        const page = await honest.list(query, ctx);
        return page.next === undefined ? page : { ...page, next: query.cursor ?? page.next };
      },
    }),
    finds: /cursor comes back/,
  },
  {
    group: 'get and find',
    how: 'loses what is not ASCII',
    breakIt: (honest) => ({
      ...honest,
      create: (spec, ctx) => {
        const plain = String(spec.attributes['displayName']).replace(/[^ -~]/g, '');
        return honest.create!({ ...spec, attributes: { ...spec.attributes, displayName: plain } }, ctx);
      },
    }),
    finds: /displayName read back/,
  },
  {
    group: 'get and find',
    how: 'finds everything when the value holds a star',
    breakIt: (honest, target) => ({
      ...honest,
      find: async (by, ctx) =>
        by.value.includes('*')
          ? (await honest.list({ objectClass: 'account', pageSize: target.accounts.size }, ctx)).items
          : honest.find(by, ctx),
    }),
    finds: /find with "\*\)\(uid=\*"/,
  },
  {
    group: 'create',
    how: 'creates twice for one key',
    breakIt: (honest, target) => ({
      ...honest,
      create: async (spec, ctx) => {
        const attributes = { ...spec.attributes, externalId: `${ctx.idempotencyKey}-${target.effects.length}` };
        const twin = target.byLogin(spec.login);
        if (twin !== undefined) twin.login = `${twin.login} `;
        const result = await honest.create!({ ...spec, attributes }, ctx);
        if (twin !== undefined) twin.login = spec.login;
        return result;
      },
    }),
    finds: /accounts after the same key twice: 2/,
  },
  {
    group: 'create',
    how: 'writes although the marker refused',
    breakIt: (honest) => ({
      ...honest,
      create: (spec, ctx) =>
        honest.create!(spec, {
          ...ctx,
          sentMarker: () => (ctx.sentMarker?.() ?? Promise.resolve()).catch(() => undefined),
        }),
    }),
    finds: /marker throws does not pass through/,
  },
  {
    group: 'update',
    how: 'recreates the account to rename it',
    breakIt: (honest, target) => ({
      ...honest,
      update: async (ref, delta, ctx) => {
        const result = await honest.update!(ref, delta, ctx);
        if (!delta.some((change) => change.attribute === 'login') || result.outcome !== 'applied') return result;
        const account = target.accounts.get(ref.nativeId)!;
        const moved = { ...account, ref: { ...ref, nativeId: target.nextId() } };
        target.accounts.delete(ref.nativeId);
        target.accounts.set(moved.ref.nativeId, moved);
        return { ...result, ref: moved.ref };
      },
    }),
    finds: /native id after a rename/,
  },
  {
    group: 'disable and enable',
    how: 'reports a disable and leaves the account on',
    breakIt: (honest) => ({
      ...honest,
      disable: (ref, ctx) =>
        honest.disable!(ref, { ...ctx }).then(async (result) => (await honest.enable!(ref, ctx), result)),
    }),
    finds: /enabled at the target after a disable/,
  },
  {
    group: 'disable and enable',
    how: 'takes an unknown status for enabled',
    breakIt: (honest) => ({
      ...honest,
      get: async (ref, ctx) => {
        const seen = await honest.get(ref, ctx);
        return seen === undefined ? undefined : { ...seen, status: 'enabled' };
      },
    }),
    finds: /status after a disable/,
  },
  {
    group: 'seal',
    how: 'disables and forgets the secret',
    breakIt: (honest) => ({
      ...honest,
      seal: async (ref, _secret, ctx) => ({ ...(await honest.disable!(ref, ctx)), atomic: true }),
    }),
    finds: /the sealed secret/,
  },
  {
    group: 'delete',
    how: 'disables instead of deleting',
    breakIt: (honest) => ({ ...honest, delete: (ref, ctx) => applied(honest.disable!(ref, ctx)) }),
    finds: /the account after a delete/,
  },
  {
    group: 'membership',
    how: 'adds again and calls it applied',
    breakIt: (honest) => ({ ...honest, addMember: (to, ref, ctx) => applied(honest.addMember!(to, ref, ctx)) }),
    finds: /a second add/,
  },
  leavesSessionsOpen,
  {
    group: 'sessions and credentials',
    how: 'returns the secret',
    breakIt: (honest) => ({
      ...honest,
      resetCredentials: async (ref, sink, ctx) => {
        let text = '';
        const copy = { put: (secret: Parameters<typeof sink.put>[0]) => ((text = secret.reveal()), sink.put(secret)) };
        const result = await honest.resetCredentials!(ref, copy, ctx);
        return { ...result, password: text };
      },
    }),
    finds: /result holds the secret/,
  },
  {
    group: 'other credentials',
    how: 'says that keys are gone and keeps them',
    breakIt: (honest) => ({
      ...honest,
      revokeCredentials: (ref) => Promise.resolve({ outcome: 'applied', ref, changed: [] }),
      listCredentials: () => Promise.resolve({ credentials: [], road: 'guess' }),
    }),
    finds: /left at the target after revokeCredentials: 1/,
  },
  {
    group: 'privileges',
    how: 'checks in one lease of two',
    breakIt: (honest, target) => ({
      ...honest,
      checkIn: async (ref, ctx) => {
        const before = target.accounts.get(ref.nativeId)?.privileges ?? 0;
        const result = await honest.checkIn!(ref, ctx);
        if (before > 1) target.accounts.get(ref.nativeId)!.privileges = 1;
        return result;
      },
    }),
    finds: /left at the target after checkIn: 1/,
  },
  {
    group: 'ownership',
    how: 'deletes what it should hand over',
    breakIt: (honest, target) => ({
      ...honest,
      transferOwned: async (ref, heir, ctx) => {
        const result = await honest.transferOwned!(ref, heir, ctx);
        target.accounts.get(heir.nativeId)!.owned = 0;
        return result;
      },
    }),
    finds: /what the heir owns at the target: 0/,
  },
  {
    group: 'forwarding',
    how: 'keeps no copy although one was asked for',
    breakIt: (honest) => ({
      ...honest,
      setForwarding: (ref, forwarding, ctx) => honest.setForwarding!(ref, { ...forwarding, keepsCopy: false }, ctx),
    }),
    finds: /the forwarding read back/,
  },
  {
    group: 'forwarding',
    how: 'calls every message delivered',
    breakIt: (honest) => ({
      ...honest,
      proveDelivery: () => Promise.resolve({ delivered: true, replied: true, road: 'guess' }),
    }),
    finds: /the proof of a forwarding that is not there/,
  },
  {
    group: 'archive',
    how: 'archives before it asks whether it may',
    breakIt: (honest) => ({
      ...honest,
      archive: async (ref, ctx) => {
        const { sentMarker: _sentMarker, ...unasked } = ctx;
        const result = await honest.archive!(ref, unasked);
        await ctx.sentMarker?.();
        return result;
      },
    }),
    finds: /an archive after the marker refused one: "already-in-state"/,
  },
  {
    group: 'archive',
    how: 'archives again what is archived',
    breakIt: (honest) => ({
      ...honest,
      archive: async (ref, ctx) => {
        const result = await honest.archive!(ref, ctx);
        if (result.outcome === 'already-in-state') await ctx.sentMarker?.();
        return { ...result, outcome: 'applied' };
      },
    }),
    finds: /an archive of an archived account/,
  },
  {
    group: 'anonymise',
    how: 'renames and leaves the name',
    breakIt: (honest, target) => ({
      ...honest,
      anonymise: async (ref, ctx) => {
        const name = target.accounts.get(ref.nativeId)?.attributes['displayName'] ?? null;
        const result = await honest.anonymise!(ref, ctx);
        target.accounts.get(ref.nativeId)!.attributes['displayName'] = name;
        return result;
      },
    }),
    finds: /a personal value survives/,
  },
  {
    group: 'verify',
    how: 'believes its own writes',
    breakIt: (honest) => ({
      ...honest,
      verify: () => Promise.resolve({ verdict: 'ok', mismatches: [], road: 'memory', seen: {} }),
    }),
    finds: /a planted status/,
  },
  {
    group: 'verify',
    how: 'calls a settling difference a mismatch',
    breakIt: (honest) => ({
      ...honest,
      verify: (expected, ctx) => honest.verify({ ...expected, settling: false }, ctx),
    }),
    finds: /while settling/,
  },
  {
    group: 'errors',
    how: 'forgets its key, so a lost answer makes a second account',
    breakIt: (honest, target) => ({
      ...honest,
      create: async (spec, ctx) => {
        const twin = target.byLogin(spec.login);
        const attributes = { ...spec.attributes, externalId: `${target.effects.length}` };
        if (twin !== undefined) twin.login = 'hidden';
        const result = await honest.create!({ ...spec, attributes }, ctx);
        if (twin !== undefined) twin.login = spec.login;
        return result;
      },
    }),
    finds: /after the create again: 2/,
  },
  {
    group: 'errors',
    how: 'says that a write was not sent, although its answer was lost',
    misread: (honest) => ({ ...honest, create: misreading(honest.create!, { code: 'UNAVAILABLE', sent: false }) }),
    finds: /met by reset-after: UNAVAILABLE[^]*met by garbage says that it was not sent/,
  },
  {
    group: 'errors',
    how: 'loses the delay that the target asked for',
    misread: (honest) => ({ ...honest, create: misreading(honest.create!, { retryAfterMs: undefined }) }),
    finds: /retryAfterMs of a create met by too-many-date: undefined/,
  },
  {
    group: 'errors',
    how: 'takes an answer that is none for a missing account',
    misread: (honest) => ({ ...honest, get: (ref, ctx) => honest.get(ref, ctx).catch(() => undefined) }),
    finds: /a read answered by error-in-200: succeeded/,
  },
  {
    group: 'errors',
    how: 'takes a login page for a success',
    misread: (honest) => ({
      ...honest,
      create: (spec, ctx) =>
        honest.create!(spec, ctx).catch(() => ({
          outcome: 'applied',
          ref: { application: 'x', objectClass: 'account', nativeId: '1' },
          changed: [],
        })),
    }),
    finds: /a create met by login-page: succeeded/,
  },
  {
    group: 'errors',
    how: 'tells the login when a gateway fails',
    misread: (honest) => ({
      ...honest,
      create: (spec, ctx) =>
        honest.create!(spec, ctx).catch((error: unknown) => {
          throw Object.assign(error as Error, { message: `cannot create ${spec.login}` });
        }),
    }),
    finds: /the error of gateway-after holds the login/,
  },
  {
    group: 'cancel',
    how: 'ignores the signal',
    breakIt: (honest) => {
      const deaf = <T extends { signal: AbortSignal }>(ctx: T): T => ({ ...ctx, signal: new AbortController().signal });
      return {
        ...honest,
        create: (spec, ctx) => honest.create!(spec, deaf(ctx)),
        disable: (ref, ctx) => honest.disable!(ref, deaf(ctx)),
      };
    },
    finds: /writes after the cancel/,
  },
  {
    group: 'secrecy',
    how: 'logs the secret',
    breakIt: (honest) => ({
      ...honest,
      setSecret: (ref, secret, ctx) => {
        ctx.logger.debug({ password: secret.reveal() }, 'setting a password');
        return honest.setSecret!(ref, secret, ctx);
      },
    }),
    finds: /the secret is in a log/,
  },
  {
    group: 'secrecy',
    how: 'names the login in an error',
    breakIt: (honest) => ({
      ...honest,
      create: (spec, ctx) =>
        honest.create!(spec, ctx).catch((error: unknown) => {
          throw Object.assign(error as Error, { message: `${spec.login} exists` });
        }),
    }),
    finds: /a personal value/,
  },
  {
    group: 'concurrency',
    how: 'mixes up accounts that are made at the same time',
    breakIt: (honest) => {
      let last: Promise<MutationResult> | undefined;
      return {
        ...honest,
        create: (spec, ctx) => {
          const mine = honest.create!(spec, ctx);
          const given = last ?? mine;
          last = mine;
          setTimeout(() => (last = undefined), 0);
          return mine.then(() => given);
        },
      };
    },
    finds: /twenty creates at once/,
  },
];

/** The same for a kind that makes no accounts: nothing that it declares is let off for it. */
const administered: readonly Breakage[] = [
  {
    group: 'list',
    how: 'calls a list complete that misses what is new',
    breakIt: (honest) => ({
      ...honest,
      list: async (query, ctx) => ({ ...(await honest.list({ ...query, pageSize: 2 }, ctx)), complete: true }),
    }),
    finds: /a next one calls itself complete/,
  },
  {
    group: 'get and find',
    how: 'finds nobody',
    breakIt: (honest) => ({ ...honest, find: () => Promise.resolve([]) }),
    finds: /find by login: \[\] instead of/,
  },
  {
    group: 'disable and enable',
    how: 'disables although the marker refused',
    breakIt: (honest) => ({
      ...honest,
      disable: (ref, ctx) =>
        honest.disable!(ref, {
          ...ctx,
          sentMarker: () => (ctx.sentMarker?.() ?? Promise.resolve()).catch(() => undefined),
        }),
    }),
    finds: /enabled after the marker refused a disable: false/,
  },
  {
    group: 'disable and enable',
    how: 'calls a sign-in disabled without trying it',
    breakIt: (honest) => ({
      ...honest,
      probeSignIn: () => Promise.resolve({ answer: 'disabled', code: 'guess', road: 'guess' }),
    }),
    finds: /a sign-in before the disable: "disabled"/,
  },
  leavesSessionsOpen,
  {
    group: 'forwarding',
    how: 'keeps no copy although one was asked for',
    breakIt: (honest) => ({
      ...honest,
      setForwarding: (ref, forwarding, ctx) => honest.setForwarding!(ref, { ...forwarding, keepsCopy: false }, ctx),
    }),
    finds: /the forwarding read back/,
  },
  {
    group: 'verify',
    how: 'calls right what it cannot see',
    breakIt: (honest) => ({
      ...honest,
      verify: ({ attributes: _attributes, ...expected }, ctx) => honest.verify(expected, ctx),
    }),
    finds: /an attribute that the target does not show is called right/,
  },
  {
    group: 'verify',
    how: 'never sees an account go',
    breakIt: (honest) => ({
      ...honest,
      verify: (expected, ctx) => honest.verify({ ...expected, exists: true }, ctx),
    }),
    finds: /a deleted account: "mismatch"/,
  },
  {
    group: 'errors',
    how: 'says that a disable was not sent, although its answer was lost',
    misread: (honest) => ({ ...honest, disable: misreading(honest.disable!, { code: 'UNAVAILABLE', sent: false }) }),
    finds: /a disable met by reset-after: UNAVAILABLE[^]*a disable met by garbage says that it was not sent/,
  },
  {
    group: 'cancel',
    how: 'ignores the signal',
    breakIt: (honest) => ({
      ...honest,
      disable: (ref, ctx) => honest.disable!(ref, { ...ctx, signal: new AbortController().signal }),
    }),
    finds: /writes after the cancel/,
  },
  {
    group: 'secrecy',
    how: 'names the address in an error',
    breakIt: (honest) => ({
      ...honest,
      setForwarding: (ref, forwarding, ctx) =>
        honest.setForwarding!(ref, forwarding, ctx).catch((error: unknown) => {
          throw Object.assign(error as Error, { message: `cannot forward to ${forwarding.to}` });
        }),
    }),
    finds: /a personal value/,
  },
  {
    group: 'concurrency',
    how: 'disables one account for another',
    breakIt: (honest) => {
      let last: AccountRef | undefined;
      return { ...honest, disable: (ref, ctx) => honest.disable!((last ??= ref), ctx) };
    },
    finds: /enabled after twenty disables at once/,
  },
];

describe('each group of the kit fails a connector that breaks its promise', () => {
  it.each(breakages)('$group: $how', async ({ group, breakIt, misread, finds }) => {
    const { problems } = await conformanceGroups[group](memoryHarness(breakIt, misread));
    expect(problems.join('\n')).toMatch(finds);
  });

  it.each(administered)('on accounts of an administrator, $group: $how', async ({ group, breakIt, misread, finds }) => {
    const { problems } = await conformanceGroups[group](memoryHarness(breakIt, misread, true));
    expect(problems.join('\n')).toMatch(finds);
  });

  it('names what it cannot try where nobody makes accounts', async () => {
    const { newAccount: _newAccount, ...harness } = memoryHarness(undefined, undefined, true);
    for (const [name, run] of Object.entries(conformanceGroups)) {
      const { problems, skipped } = await run(harness);
      const named = skipped.some((what) => what.startsWith('no account') || what === `no ${name}`);
      const needsNone = ['descriptor', 'health'].includes(name);
      expect([name, named, problems]).toEqual([name, !needsNone, []]);
    }
  });

  it('sees that the login of a deleted account is given out again where the harness says that it never is', async () => {
    const { problems } = await conformanceGroups.delete({ ...memoryHarness(), keepsDeletedLogins: true });
    expect(problems.join('\n')).toMatch(/a create with the login of a deleted account: succeeded/);
  });

  it('leaves no group without a planted failure', () => {
    const planted = new Set(breakages.map((breakage) => breakage.group));
    expect(Object.keys(conformanceGroups).filter((name) => !planted.has(name as ConformanceGroupName))).toEqual([]);
  });
});
