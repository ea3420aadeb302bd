import { randomUUID } from 'node:crypto';
import type { AccountRef, Attributes } from '../../../src/connectors/connector.js';
import { Secret } from '../../../src/connectors/secret.js';
import { canMake, make, secretOf } from './accounts.js';
import { can, group, newContext } from './checks.js';
import type { Checks } from './checks.js';
import type { Harness, NewAccount } from './harness.js';

export const createGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'create')) {
    return;
  }
  const spec = harness.sampleAccount();
  const context = newContext();
  const made = await connector.create!(spec, context);
  checks.ok(made.outcome === 'applied' && made.ref.nativeId !== '', 'create gives no native id');
  const markers = context.markers();
  checks.ok(harness.createsInSteps === true ? markers > 1 : markers === 1, `the marker of a create: ${markers} calls`);
  const again = await connector.create!(spec, newContext({ idempotencyKey: context.idempotencyKey }));
  checks.equal([again.outcome, again.ref], ['already-in-state', made.ref], 'the same key twice');
  checks.equal(await harness.countByLogin(spec.login), 1, 'accounts after the same key twice');
  await checks.fails('ALREADY_EXISTS', 'the same login with another key', () => connector.create!(spec, newContext()));
  checks.equal(await harness.countByLogin(spec.login), 1, 'accounts after the same login twice');
  const odd = harness.sampleAccount();
  const attributes: Attributes = { ...odd.attributes, [harness.unknownAttribute]: 'x' };
  await checks.fails('INVALID', 'an unknown attribute', () => connector.create!({ ...odd, attributes }, newContext()));
  checks.equal(await harness.countByLogin(odd.login), 0, 'accounts after an unknown attribute');
  const fence = new Error('the generation is old');
  const refused = newContext({ sentMarker: () => Promise.reject(fence) });
  const thrown = await connector.create!(odd, refused).then(
    () => undefined,
    (error: unknown) => error,
  );
  checks.ok(thrown === fence, 'what the marker throws does not pass through');
  checks.equal(await harness.countByLogin(odd.login), 0, 'accounts after the marker refused');
  const off = await connector.create!({ ...harness.sampleAccount(), enabled: false }, newContext());
  checks.equal((await harness.peek(off.ref))?.enabled, false, 'an account created disabled is enabled');
});

export const updateGroup = group(async (harness, checks) => {
  const { connector, sampleDelta } = harness;
  if (!can(checks, connector, 'update') || !canMake(harness, checks)) {
    return;
  }
  if (sampleDelta === undefined) {
    checks.ok(false, 'update is declared, and the harness names no attribute to change');
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec);
  const first = await connector.update!(ref, [sampleDelta], newContext());
  checks.equal(first.outcome, 'applied', 'a first update');
  checks.ok(
    first.changed.some((change) => change.attribute === sampleDelta.attribute),
    'the change is not reported',
  );
  checks.equal(
    (await harness.peek(ref))?.attributes[sampleDelta.attribute],
    sampleDelta.value,
    'the value at the target',
  );
  const context = newContext();
  const second = await connector.update!(ref, [sampleDelta], context);
  checks.equal([second.outcome, context.markers()], ['already-in-state', 0], 'the same delta twice');
  for (const [name, value] of Object.entries(spec.attributes)) {
    if (name !== sampleDelta.attribute) {
      checks.equal((await harness.peek(ref))?.attributes[name], value, `attribute ${name}, which was not touched`);
    }
  }
  await updateLists(harness, ref, checks);
  await rename(harness, ref, spec.login, checks);
  if (harness.requiredAttribute !== undefined) {
    const attribute = harness.requiredAttribute;
    await checks.fails('INVALID', 'a required attribute emptied', () =>
      connector.update!(ref, [{ attribute, op: 'replace', value: null }], newContext()),
    );
  }
  await checks.fails('INVALID', 'an empty login', () =>
    connector.update!(ref, [{ attribute: 'login', op: 'replace', value: '' }], newContext()),
  );
  await checks.fails('NOT_FOUND', 'an absent account', () =>
    connector.update!(absent(harness), [sampleDelta], newContext()),
  );
});

async function updateLists(harness: Harness, ref: AccountRef, checks: Checks): Promise<void> {
  const attribute = harness.multiAttribute;
  if (attribute === undefined) {
    checks.skip('no attribute with many values');
    return;
  }
  // Targets keep values, not their order.
  const held = async (): Promise<unknown> => {
    const values = (await harness.peek(ref))?.attributes[attribute];
    return Array.isArray(values) ? [...(values as readonly string[])].sort() : values;
  };
  const change = (op: 'add' | 'remove' | 'replace', value: readonly string[]) =>
    harness.connector.update!(ref, [{ attribute, op, value }], newContext());
  await change('replace', ['one@example.test', 'two@example.test']);
  await change('add', ['two@example.test', 'three@example.test']);
  checks.equal(await held(), ['one@example.test', 'three@example.test', 'two@example.test'], 'values after add');
  await change('remove', ['one@example.test']);
  checks.equal(await held(), ['three@example.test', 'two@example.test'], 'values after remove');
  checks.equal((await change('remove', ['one@example.test'])).outcome, 'already-in-state', 'a value removed twice');
}

async function rename(harness: Harness, ref: AccountRef, before: string, checks: Checks): Promise<void> {
  const { connector } = harness;
  if (!connector.capabilities().rename) {
    checks.skip('no rename');
    return;
  }
  const login = harness.sampleAccount().login;
  const result = await connector.update!(ref, [{ attribute: 'login', op: 'replace', value: login }], newContext());
  checks.equal(result.ref.nativeId, ref.nativeId, 'the native id after a rename');
  checks.equal((await harness.peek(ref))?.login, login, 'the login at the target after a rename');
  checks.equal(await harness.countByLogin(before), 0, 'accounts with the old login');
  const other = harness.sampleAccount();
  await make(harness, other);
  await checks.fails('ALREADY_EXISTS', 'a rename to a login that is taken', () =>
    connector.update!(ref, [{ attribute: 'login', op: 'replace', value: other.login }], newContext()),
  );
}

export const disableGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'disable', 'enable') || !canMake(harness, checks)) {
    return;
  }
  const spec = harness.sampleAccount();
  const made = await make(harness, spec);
  const { ref } = made;
  const secret = can(checks, connector, 'probeSignIn') ? await secretOf(harness, made, checks) : undefined;
  const canProbe = secret !== undefined;
  const signIn = async (): Promise<string | undefined> =>
    canProbe ? (await connector.probeSignIn!(spec.login, secret, newContext())).answer : undefined;
  if (canProbe) {
    checks.equal(await signIn(), 'accepted', 'a sign-in before the disable');
    const wrong = await connector.probeSignIn!(spec.login, Secret.random(), newContext());
    checks.equal(wrong.answer, 'wrong-secret', 'a sign-in with a wrong secret');
    checks.ok(!wrong.code.includes(spec.login), 'the code of a probe holds the login');
  }
  const fence = new Error('the generation is old');
  const thrown = await connector.disable!(ref, newContext({ sentMarker: () => Promise.reject(fence) })).then(
    () => undefined,
    (error: unknown) => error,
  );
  checks.ok(thrown === fence, 'disable: what the marker throws does not pass through');
  checks.equal((await harness.peek(ref))?.enabled, true, 'enabled after the marker refused a disable');
  checks.equal((await connector.disable!(ref, newContext())).outcome, 'applied', 'a disable');
  checks.equal((await harness.peek(ref))?.enabled, false, 'enabled at the target after a disable');
  checks.equal((await connector.get(ref, newContext()))?.status, 'disabled', 'the status after a disable');
  if (canProbe) {
    checks.equal(await signIn(), 'disabled', 'a sign-in after the disable');
  }
  const context = newContext();
  const again = await connector.disable!(ref, context);
  checks.equal([again.outcome, context.markers()], ['already-in-state', 0], 'a second disable');
  checks.equal((await connector.enable!(ref, newContext())).outcome, 'applied', 'an enable');
  checks.equal((await harness.peek(ref))?.enabled, true, 'enabled at the target after an enable');
  if (canProbe) {
    checks.equal(await signIn(), 'accepted', 'a sign-in after the enable');
  }
  checks.equal((await connector.enable!(ref, newContext())).outcome, 'already-in-state', 'a second enable');
  await checks.fails('NOT_FOUND', 'disable of an absent account', () =>
    connector.disable!(absent(harness), newContext()),
  );
});

/** Seal sets a secret that only the caller holds and disables; the probe with that secret is then answered "disabled". */
/** An archived account is where such accounts are; asked again the connector looks and writes nothing, which is also how it is proven. */
export const archiveGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'archive', 'disable') || !canMake(harness, checks)) {
    return;
  }
  const { ref } = await make(harness);
  await connector.disable!(ref, newContext());
  const fence = new Error('the generation is old');
  const refused = () => newContext({ sentMarker: () => Promise.reject(fence) });
  const archiving = (ctx: ReturnType<typeof newContext>) =>
    connector.archive!(ref, ctx).then(
      ({ outcome }) => outcome,
      (error: unknown) => error,
    );
  checks.ok((await archiving(refused())) === fence, 'archive: what the marker throws does not pass through');
  checks.equal(await archiving(newContext()), 'applied', 'an archive after the marker refused one');
  checks.equal((await harness.peek(ref))?.enabled, false, 'an archived account is enabled');
  checks.equal(await archiving(refused()), 'already-in-state', 'an archive of an archived account');
  await checks.fails('NOT_FOUND', 'an archive of an absent account', () =>
    connector.archive!(absent(harness), newContext()),
  );
});

export const sealGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'seal') || !canMake(harness, checks)) {
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec);
  const [old, fresh, later] = [Secret.random(), Secret.random(), Secret.random()];
  const canProbe = can(checks, connector, 'setSecret', 'probeSignIn');
  if (canProbe) {
    await connector.setSecret!(ref, old, newContext());
  }
  const result = await connector.seal!(ref, fresh, newContext());
  checks.equal(result.atomic, connector.capabilities().atomicSeal, 'atomic, against the capability');
  checks.equal((await harness.peek(ref))?.enabled, false, 'enabled at the target after a seal');
  const answers = async (secret: Secret): Promise<string> =>
    (await connector.probeSignIn!(spec.login, secret, newContext())).answer;
  if (canProbe) {
    checks.equal(await answers(fresh), 'disabled', 'the sealed secret');
    if (harness.disabledBeforeSecret === true) {
      await connector.enable!(ref, newContext());
      checks.equal(
        [await answers(old), await answers(fresh)],
        ['wrong-secret', 'accepted'],
        'both secrets, opened again',
      );
      await connector.seal!(ref, fresh, newContext());
    } else {
      checks.equal(await answers(old), 'wrong-secret', 'the old secret');
    }
  }
  await connector.seal!(ref, later, newContext());
  if (canProbe) {
    checks.equal(await answers(later), 'disabled', 'a second seal, of an account that is disabled');
  }
});

export const deleteGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'delete') || !canMake(harness, checks)) {
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec);
  if (harness.group !== undefined) {
    await harness.plant.membership!(ref, true);
  }
  checks.equal((await connector.delete!(ref, newContext())).outcome, 'applied', 'a delete');
  checks.equal(await harness.peek(ref), undefined, 'the account after a delete');
  checks.equal(await harness.countByLogin(spec.login), 0, 'accounts after a delete');
  checks.equal((await connector.delete!(ref, newContext())).outcome, 'already-in-state', 'a second delete');
  if (harness.keepsDeletedLogins === true) {
    await checks.fails('ALREADY_EXISTS', 'a create with the login of a deleted account', () => make(harness, spec));
    checks.equal(await harness.peek(ref), undefined, 'the deleted account after a create with its login');
    return;
  }
  const again = await make(harness, spec);
  checks.equal((await harness.peek(again.ref))?.entitlements, [], 'memberships of a new account with the old login');
});

export const membershipGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'addMember', 'removeMember', 'listMembers') || !canMake(harness, checks)) {
    return;
  }
  if (harness.group === undefined) {
    checks.ok(false, 'memberships are declared, and the harness names no group');
    return;
  }
  const held = { application: 'x', name: harness.group };
  const { ref } = await make(harness);
  const peeked = async (): Promise<boolean | undefined> => (await harness.peek(ref))?.entitlements.includes(held.name);
  checks.equal((await connector.addMember!(held, ref, newContext())).outcome, 'applied', 'a first add');
  checks.equal(await peeked(), true, 'the membership at the target');
  checks.equal((await connector.addMember!(held, ref, newContext())).outcome, 'already-in-state', 'a second add');
  const members: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await connector.listMembers!(held, cursor, newContext());
    members.push(...page.items.map((member) => member.nativeId));
    cursor = page.next;
  } while (cursor !== undefined);
  checks.equal(members.filter((id) => id === ref.nativeId).length, 1, 'the account among the members');
  checks.ok(
    (await connector.get(ref, newContext()))?.entitlements?.includes(held.name) === true,
    'get shows no entitlement',
  );
  checks.equal((await connector.removeMember!(held, ref, newContext())).outcome, 'applied', 'a first remove');
  checks.equal(await peeked(), false, 'the membership at the target after a remove');
  checks.equal((await connector.removeMember!(held, ref, newContext())).outcome, 'already-in-state', 'a second remove');
  const missing = { application: 'x', name: `missing-${randomUUID()}` };
  await checks.fails('INVALID', 'a group that does not exist', () => connector.addMember!(missing, ref, newContext()));
  await checks.fails('NOT_FOUND', 'a member that does not exist', () =>
    connector.addMember!(held, absent(harness), newContext()),
  );
});

export const credentialsGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!canMake(harness, checks)) {
    return;
  }
  const spec = harness.sampleAccount();
  const made = await make(harness, spec);
  if (can(checks, connector, 'listSessions', 'revokeSessions')) {
    await sessions(harness, made, spec.login, checks);
  }
  if (can(checks, connector, 'setSecret', 'resetCredentials')) {
    await reset(harness, made, spec.login, checks);
  }
});

async function sessions(harness: Harness, made: NewAccount, login: string, checks: Checks): Promise<void> {
  const { connector, openSession } = harness;
  const { ref } = made;
  const secret = await secretOf(harness, made, checks);
  if (openSession === undefined || secret === undefined) {
    checks.skip('no session of a person');
    return;
  }
  const session = await openSession(login, secret);
  checks.ok(await session.isOpen(), 'a session cannot be opened');
  checks.equal((await connector.listSessions!(ref, newContext())).count, 1, 'open sessions');
  checks.equal((await connector.revokeSessions!(ref, newContext())).outcome, 'applied', 'a revoke');
  checks.ok(!(await session.isOpen()), 'the session survives its revocation');
  checks.equal((await connector.listSessions!(ref, newContext())).count, 0, 'open sessions after a revoke');
  checks.equal((await connector.revokeSessions!(ref, newContext())).outcome, 'already-in-state', 'a second revoke');
  await session.close();
}

async function reset(harness: Harness, { ref }: NewAccount, login: string, checks: Checks): Promise<void> {
  const { connector } = harness;
  const secret = Secret.random();
  await connector.setSecret!(ref, secret, newContext());
  const kept: Secret[] = [];
  const sink = {
    put: (given: Secret) => {
      kept.push(given);
      return Promise.resolve({ reference: 'kept:1' });
    },
  };
  const result = await connector.resetCredentials!(ref, sink, newContext());
  checks.equal([kept.length, result.secretReference], [1, 'kept:1'], 'the sink');
  checks.ok(!JSON.stringify(result).includes(kept[0]?.reveal() ?? 'never'), 'the result holds the secret');
  if (can(checks, connector, 'probeSignIn')) {
    const answers = async (given: Secret): Promise<string> =>
      (await connector.probeSignIn!(login, given, newContext())).answer;
    checks.equal([await answers(secret), await answers(kept[0]!)], ['wrong-secret', 'accepted'], 'old and new secret');
  }
  if (can(checks, connector, 'listSessions')) {
    checks.equal((await connector.listSessions!(ref, newContext())).count, 0, 'sessions left behind by the probe');
  }
}

export function absent(harness: Harness): AccountRef {
  return { application: 'x', objectClass: 'account', nativeId: harness.absentNativeId };
}
