import type { AccountRef, Connector, ExpectedState, ObservedAccount } from '../../../src/connectors/connector.js';
import { connectorOperations } from '../../../src/connectors/connector.js';
import { ConnectorConfigError, isConnectorError } from '../../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../../src/connectors/errors.js';
import { Secret } from '../../../src/connectors/secret.js';
import { sameValue } from '../../../src/connectors/shared/compare.js';
import { canMake, canRemove, make, remove } from './accounts.js';
import { can, group, newContext, stable } from './checks.js';
import type { Checks } from './checks.js';
import type { Harness } from './harness.js';

const mandatory = new Set(['list', 'get', 'find', 'verify']);

/** What a connector says of itself is right, complete, stable and equal to what is committed. */
export const descriptorGroup = group(async (harness, checks) => {
  const { connector, factory, committed, wrongConfig } = harness;
  try {
    const deps = { secrets: () => new Secret('x'), logger: newContext().logger };
    const made = factory.create('wrong', wrongConfig.config, deps);
    await made.close();
    checks.ok(false, 'a wrong configuration is taken');
  } catch (error) {
    const problems = error instanceof ConnectorConfigError ? error.problems.join('\n') : '';
    checks.ok(error instanceof ConnectorConfigError, 'a wrong configuration fails with another error');
    for (const path of wrongConfig.paths) {
      checks.ok(problems.includes(path), `the problem at ${path} is not named: ${problems}`);
    }
  }
  const capabilities = connector.capabilities();
  checks.equal(capabilities, committed, 'capabilities differ from capabilities.json');
  checks.equal(JSON.parse(JSON.stringify(capabilities)), capabilities, 'capabilities are not plain data');
  const declared = capabilities.objectClasses.account.operations;
  for (const operation of connectorOperations) {
    const present = typeof connector[operation] === 'function';
    const listed = declared.includes(operation);
    checks.ok(
      present === listed || (present && mandatory.has(operation)),
      `${operation}: method and capability differ`,
    );
  }
  const schemas = [await connector.schema(newContext()), await connector.schema(newContext())];
  checks.equal(schemas[0], schemas[1], 'the schema is not stable');
  const nowhere = { application: 'x', objectClass: 'nonexisting', nativeId: '1' };
  await checks.fails('UNSUPPORTED', 'list of an unknown object class', () =>
    connector.list({ objectClass: 'nonexisting', pageSize: 1 }, newContext()),
  );
  await checks.fails('UNSUPPORTED', 'get of an unknown object class', () => connector.get(nowhere, newContext()));
});

/** Health is quick, read-only, and says what is wrong without throwing. */
export const healthGroup = group(async (harness, checks) => {
  const before = await harness.snapshot();
  const started = Date.now();
  const health = await harness.connector.health(newContext());
  checks.ok(health.ok, 'a healthy target is reported as unhealthy');
  checks.ok(Date.now() - started < 2000, 'health takes two seconds or more');
  const findings = await harness.connector.validate(newContext());
  checks.equal(findings.filter((finding) => finding.severity === 'error').length, 0, 'validate finds errors');
  checks.equal(await harness.snapshot(), before, 'health or validate changed the target');
  await unhealthy(harness.unreachable, 'UNAVAILABLE', checks);
  await unhealthy(harness.wrongCredential, 'UNAUTHENTICATED', checks);
});

async function unhealthy(make: (() => Connector) | undefined, code: ConnectorErrorCode, checks: Checks): Promise<void> {
  if (make === undefined) {
    checks.skip(`no target that is ${code}`);
    return;
  }
  const connector = make();
  try {
    const health = await connector.health(newContext());
    checks.equal({ ok: health.ok, code: health.code }, { ok: false, code }, `health of a target that is ${code}`);
    await checks.fails([code], 'list', () => connector.list({ objectClass: 'account', pageSize: 1 }, newContext()));
  } catch (error) {
    checks.ok(false, `health throws ${String(error)}`);
  } finally {
    await connector.close();
  }
}

/** Every account once, page by page, with a cursor that survives JSON and a restart, also while accounts come and go. */
export const listGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'list') || !canMake(harness, checks)) {
    return;
  }
  const created: AccountRef[] = [];
  for (let index = 0; index < 5; index += 1) {
    created.push((await make(harness)).ref);
  }
  const walk = await walkPages(connector, undefined, checks);
  const ids = walk.items.map((item) => item.ref.nativeId);
  checks.equal(ids.length, new Set(ids).size, 'an account is listed twice');
  checks.ok(
    created.every((ref) => ids.includes(ref.nativeId)),
    'an account is missing from the list',
  );
  checks.ok(walk.complete, 'a list of a quiet target is not complete');
  const [first, second] = walk.cursors;
  if (first !== undefined && second !== undefined) {
    const again = await walkPages(connector, first, checks);
    checks.equal(
      again.items.map((item) => item.ref.nativeId),
      ids.slice(2),
      'a restart from a cursor differs',
    );
  }
  if (canRemove(harness, checks)) await listWhileChanging(harness, created, checks);
});

async function listWhileChanging(harness: Harness, created: AccountRef[], checks: Checks): Promise<void> {
  const { connector } = harness;
  const page = await connector.list({ objectClass: 'account', pageSize: 2 }, newContext());
  const victim = created[0]!;
  await remove(harness, victim);
  await make(harness);
  const rest = page.next === undefined ? undefined : await walkPages(connector, page.next, checks);
  const ids = [...page.items, ...(rest?.items ?? [])].map((item) => item.ref.nativeId);
  const missed = created.slice(1).filter((ref) => !ids.includes(ref.nativeId));
  checks.ok(missed.length === 0 || rest?.complete === false, 'a list that missed an account calls itself complete');
}

async function walkPages(
  connector: Connector,
  from: string | undefined,
  checks: Checks,
): Promise<{ items: ObservedAccount[]; cursors: string[]; complete: boolean }> {
  const items: ObservedAccount[] = [];
  const cursors: string[] = [];
  let cursor = from;
  for (let pages = 0; pages < 1000; pages += 1) {
    const page = await connector.list({ objectClass: 'account', pageSize: 2, cursor }, newContext());
    checks.ok(page.items.length <= 2, 'a page is larger than asked');
    items.push(...page.items);
    if (page.next === undefined) {
      return { items, cursors, complete: page.complete };
    }
    checks.ok(!page.complete, 'a page with a next one calls itself complete');
    if (cursors.includes(page.next) || page.next === from) {
      checks.ok(false, 'a cursor comes back');
      return { items, cursors, complete: page.complete };
    }
    cursor = (JSON.parse(JSON.stringify({ next: page.next })) as { next: string }).next;
    cursors.push(cursor);
  }
  checks.ok(false, 'the list does not end');
  return { items, cursors, complete: false };
}

const injections = [
  `*)(uid=*`,
  `' or '1'='1`,
  `x" or userName pr or userName eq "`,
  `"; drop table x; --`,
  'a\r\nb',
  '%',
  '\\',
];

/** Reads give back what was written, and no value can leave its quotes. */
export const getFindGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'get', 'find') || !canMake(harness, checks)) {
    return;
  }
  const absent = { application: 'x', objectClass: 'account', nativeId: harness.absentNativeId };
  checks.equal(await connector.get(absent, newContext()), undefined, 'get of an absent account');
  const sample = harness.sampleAccount();
  const spec = { ...sample, attributes: { ...sample.attributes, ...harness.trickyAttributes } };
  const context = newContext();
  const { ref } = await make(harness, spec, { context });
  const seen = await connector.get(ref, newContext());
  checks.equal(seen?.login, spec.login, 'the login read back');
  checks.equal(seen?.status, spec.enabled ? 'enabled' : 'disabled', 'the status read back');
  for (const [name, value] of Object.entries(spec.attributes)) {
    checks.ok(
      sameValue(seen?.attributes[name], value),
      `attribute ${name} read back: ${stable(seen?.attributes[name])}`,
    );
  }
  const key = connector.capabilities().adoptionKey;
  const keys = [
    { attribute: 'login', value: spec.login },
    // Whoever else makes accounts does not know the key.
    ...(key === undefined || connector.create === undefined ? [] : [{ attribute: key, value: context.idempotencyKey }]),
  ];
  for (const by of keys) {
    const found = await connector.find(by, newContext());
    checks.equal(
      found.map((item) => item.ref.nativeId),
      [ref.nativeId],
      `find by ${by.attribute}`,
    );
  }
  for (const value of injections) {
    try {
      const found = await connector.find({ attribute: 'login', value }, newContext());
      checks.equal(found.length, 0, `find with ${JSON.stringify(value)}`);
    } catch (error) {
      checks.ok(
        isConnectorError(error) && error.code === 'INVALID',
        `find with ${JSON.stringify(value)}: ${String(error)}`,
      );
    }
  }
  await checks.fails('INVALID', 'find by an unknown attribute', () =>
    connector.find({ attribute: harness.unknownAttribute, value: 'x' }, newContext()),
  );
});

/** The true state is confirmed; each planted difference is named, without its value; settling makes it pending. */
export const verifyGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!canMake(harness, checks)) {
    const nothing = { application: 'x', objectClass: 'account', nativeId: harness.absentNativeId };
    const result = await connector.verify({ ref: nothing, exists: true, status: 'disabled' }, newContext());
    const canRead = connector.capabilities().objectClasses.account.operations.includes('get');
    checks.equal(result.verdict, canRead ? 'mismatch' : 'unknown', 'an account that cannot be read');
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec);
  const expected = { ref, exists: true, status: 'enabled', login: spec.login, attributes: spec.attributes } as const;
  const right = await connector.verify(expected, newContext());
  checks.equal([right.verdict, right.mismatches], ['ok', []], 'the true state');
  checks.ok(right.road !== '', 'the road is not named');
  const unseen = { ref, exists: true, attributes: { [harness.unknownAttribute]: 'x' } };
  const unproven = await connector.verify(unseen, newContext());
  checks.ok(unproven.verdict !== 'ok', 'an attribute that the target does not show is called right');
  await verifyAttribute(harness, expected, checks);
  await harness.plant.enabled(ref, false);
  const cut = await connector.verify({ ref, exists: true, status: 'enabled' }, newContext());
  checks.equal([cut.verdict, cut.mismatches], ['mismatch', [{ what: 'status' }]], 'a planted status');
  const later = await connector.verify({ ref, exists: true, status: 'enabled', settling: true }, newContext());
  checks.equal(later.verdict, 'pending', 'a planted status while settling');
  const off = await connector.verify({ ref, exists: true, status: 'disabled' }, newContext());
  checks.equal(off.verdict, 'ok', 'a disabled account that should be disabled');
  await harness.plant.enabled(ref, true);
  const open = await connector.verify({ ref, exists: true, status: 'disabled' }, newContext());
  checks.equal(open.verdict, 'mismatch', 'an enabled account that should be disabled');
  if (harness.group === undefined) {
    checks.skip('no group');
  } else {
    await verifyMembership(harness, ref, harness.group, checks);
  }
  const gone = await connector.verify({ ref, exists: false }, newContext());
  checks.equal(
    [gone.verdict, gone.mismatches],
    ['mismatch', [{ what: 'existence' }]],
    'an account that should be gone',
  );
  if (!canRemove(harness, checks)) return;
  await remove(harness, ref);
  checks.equal((await connector.verify({ ref, exists: false }, newContext())).verdict, 'ok', 'a deleted account');
  checks.equal((await connector.verify(expected, newContext())).verdict, 'mismatch', 'a missing account');
});

async function verifyAttribute(harness: Harness, expected: ExpectedState, checks: Checks): Promise<void> {
  const { connector, sampleDelta } = harness;
  if (harness.plant.attribute === undefined || sampleDelta === undefined) {
    checks.skip('no attribute that somebody can change');
    return;
  }
  await harness.plant.attribute(expected.ref, 'Planted Value');
  const wrong = await connector.verify(expected, newContext());
  const name = sampleDelta.attribute;
  checks.equal([wrong.verdict, wrong.mismatches], ['mismatch', [{ what: 'attribute', name }]], 'a planted attribute');
  checks.ok(!JSON.stringify(wrong.mismatches).includes('Planted'), 'a mismatch holds a value');
  const settling = await connector.verify({ ...expected, settling: true }, newContext());
  checks.equal(settling.verdict, 'pending', 'a planted attribute while settling');
}

async function verifyMembership(harness: Harness, ref: AccountRef, name: string, checks: Checks): Promise<void> {
  const { connector } = harness;
  const wanted = { ref, exists: true, entitlementsPresent: [name] };
  const unwanted = { ref, exists: true, entitlementsAbsent: [name] };
  const mismatch = ['mismatch', [{ what: 'entitlement', name }]];
  const verdict = async (expected: typeof wanted | typeof unwanted): Promise<unknown> => {
    const result = await connector.verify(expected, newContext());
    return [result.verdict, result.mismatches];
  };
  await harness.plant.membership!(ref, false);
  checks.equal(await verdict(wanted), mismatch, 'a missing membership');
  checks.equal(await verdict(unwanted), ['ok', []], 'an absent membership');
  await harness.plant.membership!(ref, true);
  checks.equal(await verdict(wanted), ['ok', []], 'a present membership');
  checks.equal(await verdict(unwanted), mismatch, 'a membership left over');
}
