import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type {
  Capabilities,
  Connector,
  ConnectorOperation,
  OperationContext,
} from '../../../src/connectors/connector.js';
import { isConnectorError } from '../../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../../src/connectors/errors.js';
import type { ConformanceGroup, GroupResult, Harness } from './harness.js';

/** A context for one operation; everything it logs is kept in `lines`. */
export interface TestContext extends OperationContext {
  readonly lines: string[];
  markers(): number;
}

export interface ContextOptions {
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
  readonly withinMs?: number;
  readonly sentMarker?: () => Promise<void>;
}

/** Makes a context that is good for twenty seconds (a domain controller is slow) and counts the calls of its marker. */
export function newContext(options: ContextOptions = {}): TestContext {
  const lines: string[] = [];
  let markers = 0;
  const log = (fields: object, message: string): void => {
    lines.push(`${inspect(fields, { depth: 8 })} ${JSON.stringify(fields)} ${message}`);
  };
  return {
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
    signal: options.signal ?? new AbortController().signal,
    deadline: new Date(Date.now() + (options.withinMs ?? 20_000)).toISOString(),
    progress: (detail) => lines.push(detail),
    logger: { debug: log, info: log, warn: log, error: log },
    sentMarker: async () => {
      markers += 1;
      await options.sentMarker?.();
    },
    lines,
    markers: () => markers,
  };
}

/** Collects what is wrong instead of throwing, so that one run shows all problems and a test can expect some. */
export class Checks {
  readonly problems: string[] = [];
  readonly skipped: string[] = [];
  count = 0;

  ok(condition: boolean, problem: string): void {
    this.count += 1;
    if (!condition) {
      this.problems.push(problem);
    }
  }

  equal(actual: unknown, wanted: unknown, problem: string): void {
    const [left, right] = [stable(actual), stable(wanted)];
    this.ok(left === right, `${problem}: ${left} instead of ${right}`);
  }

  /** The work must fail with a ConnectorError of one of these codes. */
  async fails(
    codes: ConnectorErrorCode | readonly ConnectorErrorCode[],
    problem: string,
    work: () => Promise<unknown>,
  ): Promise<unknown> {
    const wanted = typeof codes === 'string' ? [codes] : codes;
    try {
      const result = await work();
      this.ok(false, `${problem}: succeeded with ${stable(result)} instead of ${wanted.join('/')}`);
      return undefined;
    } catch (error) {
      const code = isConnectorError(error) ? error.code : `not a ConnectorError: ${inspect(error)}`;
      this.ok(
        isConnectorError(error) && wanted.includes(error.code),
        `${problem}: ${code} instead of ${wanted.join('/')}`,
      );
      return error;
    }
  }

  skip(what: string): void {
    this.skipped.push(what);
  }
}

/** JSON with sorted keys; undefined shows. */
export function stable(value: unknown): string {
  return (
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'object' && item !== null && !Array.isArray(item)
        ? Object.fromEntries(Object.entries(item).sort(([left], [right]) => (left < right ? -1 : 1)))
        : item,
    ) ?? 'undefined'
  );
}

/** Wraps a group's body: what it throws unexpectedly is a problem too. */
export function group(body: (harness: Harness, checks: Checks) => Promise<void>): ConformanceGroup {
  return async (harness): Promise<GroupResult> => {
    const checks = new Checks();
    try {
      await body(harness, checks);
    } catch (error) {
      checks.problems.push(`unexpected: ${inspect(error)}`);
    }
    return { problems: checks.problems, skipped: checks.skipped, checks: checks.count };
  };
}

/** True when the connector declares all of these; else notes the skip. */
export function can(checks: Checks, connector: Connector, ...operations: ConnectorOperation[]): boolean {
  const declared: Capabilities['objectClasses']['account']['operations'] =
    connector.capabilities().objectClasses.account.operations;
  const missing = operations.filter((operation) => !declared.includes(operation));
  if (missing.length > 0) {
    checks.skip(`no ${missing.join(', ')}`);
  }
  return missing.length === 0;
}
