import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Behaviour, ScimTarget } from '../../src/embedded/targets/scim-target.js';
import { startScimTarget } from '../../src/embedded/targets/scim-target.js';
import { acquirePostgres } from '../support/stack.js';
import { injectFaults } from './fault-injecting-connector.js';
import { newContext } from './kit/checks.js';
import type { Lie } from './liars.js';
import { createLiar } from './liars.js';
import { createMemoryConnector, MemoryTarget } from './memory-connector.js';
import { scimConnector } from './scim-harness.js';

/** What a cut looks like from outside: the reading, and the sign-in with the sealed secret. */
async function cut(connector: Connector, ref: AccountRef, login: string): Promise<{ verdict: string; answer: string }> {
  const secret = Secret.random();
  await connector.seal!(ref, secret, newContext());
  const { verdict } = await connector.verify({ ref, exists: true, status: 'disabled' }, newContext());
  const { answer } = await connector.probeSignIn!(login, secret, newContext());
  return { verdict, answer };
}

const expectations: [Lie, Behaviour, { verdict: string; answer: string }][] = [
  ['does-nothing', { ignoreWrites: true }, { verdict: 'mismatch', answer: 'wrong-secret' }],
  ['signs-in-anyway', { signInIgnoresActive: true }, { verdict: 'ok', answer: 'accepted' }],
  ['hides-the-reason', { signInHidesReason: true }, { verdict: 'ok', answer: 'wrong-secret' }],
];

describe('lies are told apart from the truth and from each other', () => {
  let target: ScimTarget;
  let connector: Connector;
  beforeAll(async () => {
    const { adminUrl } = await acquirePostgres();
    const database = `sandbox_${randomUUID().replaceAll('-', '')}`;
    target = await startScimTarget({ adminUrl, database, token: 'sandbox-token', port: 0, groups: [] });
    const config = { secret: 'attribute', signIn: { path: '/sign-in', signOutPath: '/sign-out' } };
    const server = {
      name: 'x',
      baseUrl: target.scimUrl,
      token: 'sandbox-token',
      config,
      variant: '',
      group: '',
      stop: target.stop,
    };
    connector = scimConnector(server);
  });
  afterAll(async () => {
    await connector.close();
    await target.stop();
  });

  it.each(expectations)('in memory: %s', async (lie, _behaviour, seen) => {
    const honest = createMemoryConnector(new MemoryTarget());
    const spec = { objectClass: 'account', login: 'ada', enabled: true, attributes: { displayName: 'Ada' } } as const;
    const { ref } = await honest.create!(spec, newContext());
    expect(await cut(createLiar(honest, lie), ref, 'ada')).toEqual(seen);
    expect(await cut(honest, ref, 'ada')).toEqual({ verdict: 'ok', answer: 'disabled' });
  });

  it.each(expectations)('on the wire: %s', async (_lie, behaviour, seen) => {
    const login = `ada-${randomUUID()}`;
    target.behave({});
    const { ref } = await connector.create!(
      { objectClass: 'account', login, enabled: true, attributes: {} },
      newContext(),
    );
    target.behave(behaviour);
    expect(await cut(connector, ref, login)).toEqual(seen);
    target.behave({});
    expect(await cut(connector, ref, login)).toEqual({ verdict: 'ok', answer: 'disabled' });
  });
});

describe('injected faults', () => {
  const spec = { objectClass: 'account', login: 'ada', enabled: true, attributes: { displayName: 'Ada' } } as const;

  it('hit the named try of the named account and nothing else', async () => {
    const target = new MemoryTarget();
    const { connector, assertFired, fired } = injectFaults(createMemoryConnector(target), [
      { operation: 'create', account: 'ada', attempt: 1, when: 'after', fault: { kind: 'error', code: 'AMBIGUOUS' } },
      { operation: 'create', account: 'bob', when: 'before', fault: { kind: 'error', code: 'UNAVAILABLE' } },
    ]);
    const context = newContext();
    await expect(connector.create!(spec, context)).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    expect((await connector.create!(spec, context)).outcome).toBe('already-in-state');
    expect(target.effects).toHaveLength(1);
    expect(fired()).toEqual([1, 0]);
    expect(assertFired).toThrow(/before create bob/);
    await expect(connector.create!({ ...spec, login: 'bob' }, newContext())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      sent: false,
    });
    expect(target.effects).toHaveLength(1);
    assertFired();
  });

  it('hang until the deadline, before or after the effect', async () => {
    const target = new MemoryTarget();
    const { connector } = injectFaults(createMemoryConnector(target), [
      { operation: 'create', when: 'after', fault: { kind: 'hang' } },
    ]);
    await expect(connector.create!(spec, newContext({ withinMs: 100 }))).rejects.toMatchObject({ code: 'AMBIGUOUS' });
    expect(target.effects).toHaveLength(1);
  });
});
