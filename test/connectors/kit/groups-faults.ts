import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { isConnectorError } from '../../../src/connectors/errors.js';
import { Secret } from '../../../src/connectors/secret.js';
import { canMake, canWrite, make, newWrite } from './accounts.js';
import { can, group, newContext } from './checks.js';
import type { Checks } from './checks.js';
import { absent } from './groups-write.js';
import type { Harness } from './harness.js';
import { httpFaultChecks, tcpFaults } from './wire-faults.js';

/** Faults on the way are classified by whether a write was sent, and a lost answer never makes a second account. */
export const errorsGroup = group(async (harness, checks) => {
  if (!canWrite(harness, checks)) {
    return;
  }
  if (harness.throughProxy === undefined) {
    checks.skip('no proxy');
    return;
  }
  const { connector, fail, close } = await harness.throughProxy();
  try {
    const spec = harness.sampleAccount();
    const { ref } = await make(harness, spec, { connector });
    const lost = await newWrite(harness);
    const { what } = lost;
    fail('hang');
    const read = await checks.fails('TIMEOUT', 'a read that hangs', () =>
      connector.get(ref, newContext({ withinMs: 700 })),
    );
    checks.equal(isConnectorError(read) && read.sent, false, 'a read was sent as a write');
    fail('refuse');
    const refused = await checks.fails('UNAVAILABLE', 'a read that is refused', () => connector.get(ref, newContext()));
    checks.ok(!inspect(refused).includes(spec.login), 'an error holds the login');
    await checks.fails(['UNAVAILABLE', 'AMBIGUOUS'], `a ${what} that is refused`, () =>
      lost.run(connector, newContext()),
    );
    checks.equal(await lost.done(), 0, `effects of a refused ${what}`);
    fail('lose-answer');
    const context = newContext();
    await checks.fails('AMBIGUOUS', `a ${what} whose answer is lost`, () => lost.run(connector, context));
    checks.equal(await lost.done(), 1, `effects of a ${what} whose answer was lost`);
    fail('pass');
    const again = await lost.run(connector, newContext({ idempotencyKey: context.idempotencyKey }));
    const finishes = what === 'create' && harness.createsInSteps === true;
    checks.equal(again.outcome, finishes ? 'applied' : 'already-in-state', `the ${what} again`);
    checks.equal(await lost.done(), 1, `effects after the ${what} again`);
    await tcpFaults(harness, connector, fail, checks);
  } finally {
    await close();
  }
  if (harness.throughHttpProxy === undefined) {
    checks.skip('no HTTP proxy');
    return;
  }
  const proxied = await harness.throughHttpProxy();
  try {
    await httpFaultChecks(harness, proxied, checks);
  } finally {
    await proxied.close();
  }
});

/** Cancelling stops within a second and nothing is written after it. */
export const cancelGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'disable') || !canWrite(harness, checks)) {
    return;
  }
  const write = await newWrite(harness);
  const context = newContext({ signal: AbortSignal.abort() });
  await checks.fails('TIMEOUT', `a ${write.what} after the cancel`, () => write.run(connector, context));
  checks.equal([await write.done(), context.markers()], [0, 0], 'writes after the cancel');
  await checks.fails('TIMEOUT', `a ${write.what} after its deadline`, () =>
    write.run(connector, newContext({ withinMs: -1 })),
  );
  checks.equal(await write.done(), 0, 'writes after a deadline that had passed');
  const { ref } = await make(harness);
  const stop = new AbortController();
  const cancelled = newContext({ signal: stop.signal, sentMarker: () => Promise.resolve(stop.abort()) });
  await checks.fails(['TIMEOUT', 'AMBIGUOUS'], 'a disable cancelled at its marker', () =>
    connector.disable!(ref, cancelled),
  );
  checks.equal(
    (await harness.peek(ref))?.enabled,
    true,
    'enabled after a disable that was cancelled before it was sent',
  );
  if (harness.throughProxy === undefined) {
    checks.skip('no proxy');
    return;
  }
  const proxied = await harness.throughProxy();
  try {
    proxied.fail('hang');
    const hanging = new AbortController();
    const started = Date.now();
    setTimeout(() => hanging.abort(), 200);
    const hung = proxied.connector.disable!(ref, newContext({ signal: hanging.signal }));
    await checks.fails(['TIMEOUT', 'AMBIGUOUS'], 'a disable cancelled while it hangs', () => hung);
    checks.ok(Date.now() - started < 1200, 'a cancel takes more than a second');
  } finally {
    await proxied.close();
  }
});

/** Neither secrets nor personal values get into logs, errors or results where they do not belong. */
export const secrecyGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!canMake(harness, checks)) {
    return;
  }
  const secret = new Secret(`MARKER-secret-${randomUUID()}-Aa1`);
  const sample = harness.sampleAccount();
  const marker = `Marker${randomUUID().slice(0, 8)}`;
  const marked = harness.sampleDelta === undefined ? {} : { [harness.sampleDelta.attribute]: marker };
  const spec = { ...sample, attributes: { ...sample.attributes, ...marked } };
  const context = newContext();
  const { ref } = await make(harness, spec, { context });
  const seen: unknown[] = [];
  const attempt = async (work: (() => Promise<unknown>) | undefined): Promise<void> => {
    await work?.().then(
      (result) => seen.push({ result }),
      (error: unknown) => seen.push({ error: [inspect(error), String(error), JSON.stringify(error)] }),
    );
  };
  await attempt(connector.setSecret && (() => connector.setSecret!(ref, secret, context)));
  await attempt(connector.seal && (() => connector.seal!(ref, secret, context)));
  await attempt(connector.probeSignIn && (() => connector.probeSignIn!(spec.login, secret, context)));
  await attempt(connector.setSecret && (() => connector.setSecret!(absent(harness), secret, context)));
  const failures: unknown[] = [];
  const tries = [
    connector.create && (() => connector.create!(spec, newContext())),
    connector.update &&
      (() => connector.update!(ref, [{ attribute: harness.unknownAttribute, op: 'replace', value: marker }], context)),
    connector.setForwarding &&
      (() => connector.setForwarding!(absent(harness), { to: `${marker}@example.test`, keepsCopy: true }, context)),
    () => connector.find({ attribute: harness.unknownAttribute, value: marker }, context),
  ].filter((one) => one !== undefined);
  for (const one of tries) {
    await one().catch((error: unknown) => failures.push([inspect(error), JSON.stringify(error)]));
  }
  checks.equal(failures.length, tries.length, 'planted failures that happened');
  const everything = inspect([seen, failures, context.lines], { depth: 10, maxStringLength: Infinity });
  checks.ok(!everything.includes(secret.reveal()), 'the secret is in a log, an error or a result');
  const spoken = inspect([failures, context.lines], { depth: 10, maxStringLength: Infinity });
  checks.ok(!spoken.includes(marker) && !spoken.includes(spec.login), 'a personal value is in a log or an error');
});

/** Twenty at once do not disturb each other; two on one account end in one state that reads and peeks agree on. */
export const concurrencyGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'disable', 'enable') || !canMake(harness, checks)) {
    return;
  }
  const specs = Array.from({ length: 20 }, () => harness.sampleAccount());
  const made = await Promise.all(specs.map((spec) => make(harness, spec)));
  checks.equal(new Set(made.map(({ ref }) => ref.nativeId)).size, 20, 'accounts of twenty creates at once');
  await Promise.all(made.map(({ ref }) => connector.disable!(ref, newContext())));
  for (const { ref } of made) {
    checks.equal((await harness.peek(ref))?.enabled, false, 'enabled after twenty disables at once');
  }
  if (can(checks, connector, 'create')) await createTwiceAtOnce(harness, checks);
  const { ref } = made[0]!;
  const change = harness.sampleDelta;
  const racing = await Promise.allSettled([
    connector.enable!(ref, newContext()),
    connector.disable!(ref, newContext()),
    connector.update === undefined || change === undefined
      ? connector.disable!(ref, newContext())
      : connector.update(ref, [change], newContext()),
  ]);
  for (const result of racing) {
    const code = result.status === 'rejected' && isConnectorError(result.reason) ? result.reason.code : result.status;
    checks.ok(['fulfilled', 'CONFLICT'].includes(code), `racing writes: ${code}`);
  }
  const seen = await connector.get(ref, newContext());
  checks.equal(seen?.status === 'enabled', (await harness.peek(ref))?.enabled, 'read and peek after racing writes');
});

async function createTwiceAtOnce(harness: Harness, checks: Checks): Promise<void> {
  const twice = harness.sampleAccount();
  const key = randomUUID();
  const both = await Promise.allSettled(
    [1, 2].map(() => harness.connector.create!(twice, newContext({ idempotencyKey: key }))),
  );
  checks.equal(await harness.countByLogin(twice.login), 1, 'accounts of one key at the same time');
  checks.ok(
    both.some((result) => result.status === 'fulfilled'),
    'both creates of one key failed',
  );
}
