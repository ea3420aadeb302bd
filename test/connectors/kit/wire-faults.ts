import { inspect } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connector } from '../../../src/connectors/connector.js';
import { isConnectorError } from '../../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../../src/connectors/errors.js';
import { make, newWrite } from './accounts.js';
import type { TriedWrite } from './accounts.js';
import { newContext } from './checks.js';
import type { Checks } from './checks.js';
import type { FaultMode } from './fault-proxy.js';
import type { Harness } from './harness.js';
import type { HttpFault } from './http-fault-proxy.js';

interface Expected {
  /** What the write may say. */
  readonly write: readonly ConnectorErrorCode[];
  /** Effects at the target when the write has failed; `any`: the wire decides. */
  readonly made: 0 | 1 | 'any';
  /** What a read may say; absent: not asked. */
  readonly read?: readonly ConnectorErrorCode[];
  readonly retryAfterMs?: readonly [number, number];
}

const tcp: Partial<Record<FaultMode, Expected>> = {
  'reset-before': { write: ['AMBIGUOUS', 'UNAVAILABLE'], made: 0 },
  'reset-after': { write: ['AMBIGUOUS'], made: 1 },
  'half-open': { write: ['AMBIGUOUS', 'TIMEOUT'], made: 'any' },
  garbage: { write: ['AMBIGUOUS'], made: 1 },
};

const unreadable = { write: ['AMBIGUOUS'], read: ['UNAVAILABLE'] } as const satisfies Partial<Expected>;

/** An answer that is none is never "no such account", never "nothing there" and never "done". */
const http: Record<HttpFault, Expected> = {
  'too-many-seconds': { write: ['RATE_LIMITED'], read: ['RATE_LIMITED'], made: 0, retryAfterMs: [7000, 7000] },
  'too-many-date': { write: ['RATE_LIMITED'], read: ['RATE_LIMITED'], made: 0, retryAfterMs: [40_000, 60_000] },
  'too-many-silent': { write: ['RATE_LIMITED'], read: ['RATE_LIMITED'], made: 0 },
  'error-before': { ...unreadable, made: 0 },
  'error-after': { ...unreadable, made: 1 },
  'gateway-after': { ...unreadable, made: 1 },
  unavailable: { write: ['UNAVAILABLE'], read: ['UNAVAILABLE'], made: 0, retryAfterMs: [3000, 3000] },
  'login-redirect': { write: ['UNAVAILABLE', 'UNAUTHENTICATED'], read: ['UNAVAILABLE', 'UNAUTHENTICATED'], made: 0 },
  'login-page': { write: ['AMBIGUOUS', 'UNAUTHENTICATED'], read: ['UNAVAILABLE', 'UNAUTHENTICATED'], made: 0 },
  'error-in-200': { write: ['AMBIGUOUS', 'UNAVAILABLE'], read: ['UNAVAILABLE'], made: 0 },
  truncated: { ...unreadable, made: 1 },
  'cut-off': { ...unreadable, made: 1 },
  garbage: { ...unreadable, made: 0 },
};

/** Half-open connections are only noticed by the deadline; long enough that the reads before the write fit in. */
const HALF_OPEN_MS = 2_500;

/** The modes of the TCP proxy that wait for the write. */
export async function tcpFaults(
  harness: Harness,
  connector: Connector,
  fail: (mode: FaultMode) => void,
  checks: Checks,
): Promise<void> {
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec, { connector });
  fail('slow');
  checks.equal((await connector.get(ref, newContext()))?.login, spec.login, 'a slow read');
  for (const [mode, expected] of Object.entries(tcp) as [FaultMode, Expected][]) {
    await failedWrite(harness, connector, mode, expected, (on) => fail(on ? mode : 'pass'), checks);
  }
}

/** Everything that an HTTP server, a gateway or a login page may answer instead of the target. */
export async function httpFaultChecks(
  harness: Harness,
  proxied: Awaited<ReturnType<NonNullable<Harness['throughHttpProxy']>>>,
  checks: Checks,
): Promise<void> {
  const { connector, fail } = proxied;
  const { ref } = await make(harness, harness.sampleAccount(), { connector });
  for (const [fault, expected] of Object.entries(http) as [HttpFault, Expected][]) {
    fail(fault, 'all');
    if (expected.read !== undefined) {
      const error = await checks.fails(expected.read, `a read answered by ${fault}`, () =>
        connector.get(ref, newContext()),
      );
      checks.equal(isConnectorError(error) && error.sent, false, `sent, of a read answered by ${fault}`);
      delayed(error, expected, `a read answered by ${fault}`, checks);
    }
    await failedWrite(harness, connector, fault, expected, (on) => fail(on ? fault : 'pass', 'writes'), checks);
  }
}

async function failedWrite(
  harness: Harness,
  connector: Connector,
  fault: string,
  expected: Expected,
  failing: (on: boolean) => void,
  checks: Checks,
): Promise<void> {
  const write = await newWrite(harness);
  const { what } = write;
  const context = newContext(fault === 'half-open' ? { withinMs: HALF_OPEN_MS } : {});
  failing(true);
  const error = await checks.fails(expected.write, `a ${what} met by ${fault}`, () => write.run(connector, context));
  failing(false);
  checks.ok(!inspect(error).includes(write.login), `the error of ${fault} holds the login`);
  delayed(error, expected, `a ${what} met by ${fault}`, checks);
  const sent = isConnectorError(error) && error.sent;
  // A marker that was awaited says that the write was about to leave: from then on the answer must not be "not sent".
  checks.ok(sent || expected.made !== 1, `a ${what} met by ${fault} says that it was not sent`);
  const wanted = expected.made === 'any' ? (sent ? 1 : 0) : expected.made;
  checks.equal(await doneSoon(write, wanted), wanted, `effects of a ${what} met by ${fault}`);
  const again = await write.run(connector, newContext({ idempotencyKey: context.idempotencyKey }));
  // What is made in steps has its later steps to do.
  const isWhole = wanted === 1 && !(what === 'create' && harness.createsInSteps === true);
  checks.equal(again.outcome, isWhole ? 'already-in-state' : 'applied', `the ${what} again after ${fault}`);
  checks.equal(await write.done(), 1, `effects after the ${what} again after ${fault}`);
}

function delayed(error: unknown, expected: Expected, what: string, checks: Checks): void {
  if (expected.retryAfterMs === undefined) return;
  const [least, most] = expected.retryAfterMs;
  const seen = isConnectorError(error) ? error.retryAfterMs : undefined;
  checks.ok(seen !== undefined && seen >= least && seen <= most, `retryAfterMs of ${what}: ${String(seen)}`);
}

/** A target that lost its client may still be at work: what it does is waited for, within reason. */
async function doneSoon(write: TriedWrite, wanted: number): Promise<number> {
  for (let waited = 0; waited < 5_000; waited += 100) {
    if ((await write.done()) === wanted) return wanted;
    await delay(100);
  }
  return write.done();
}
