import type { AccountRef, Connector, ConnectorOperation, OperationContext } from '../../src/connectors/connector.js';
import { connectorOperations } from '../../src/connectors/connector.js';
import { ConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../src/connectors/errors.js';

/**
 * One planned fault. It is found by what is done to whom, never by the order of calls: `attempt` counts the tries of
 * one operation on one account of one application, from 1.
 */
export interface FaultRule {
  readonly operation: ConnectorOperation | '*';
  readonly application?: string;
  /** Native id or, for create and find by login, the login. */
  readonly account?: string;
  /** One try, or all of them when absent. */
  readonly attempt?: number;
  /** before: the target never hears of it. after: the target has done it, the answer is lost. */
  readonly when: 'before' | 'after';
  readonly fault:
    | { readonly kind: 'error'; readonly code: ConnectorErrorCode; readonly retryAfterMs?: number }
    /** Waits until the operation is cancelled or its deadline comes. */
    | { readonly kind: 'hang' }
    /** Runs something (a crash, a cut) and goes on. */
    | { readonly kind: 'call'; readonly work: () => Promise<void> | void };
  /** `assertFired` fails when it fired less often. Default 1. */
  readonly atLeast?: number;
}

export interface FaultInjectingConnector {
  readonly connector: Connector;
  /** Throws when a rule fired less often than it must: a fault that never happened proves nothing. */
  assertFired(): void;
  /** How often each rule fired. */
  fired(): readonly number[];
}

/** Wraps any connector so that it fails as planned. Capabilities stay as they are. */
export function injectFaults(
  inner: Connector,
  rules: readonly FaultRule[],
  application = 'x',
): FaultInjectingConnector {
  const counts = rules.map(() => 0);
  const attempts = new Map<string, number>();
  const fire = async (when: FaultRule['when'], call: Call): Promise<void> => {
    for (const [index, rule] of rules.entries()) {
      if (rule.when === when && fits(rule, call)) {
        counts[index] = (counts[index] ?? 0) + 1;
        await act(rule, call);
      }
    }
  };
  const wrap = (operation: ConnectorOperation) => {
    const method = inner[operation] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    return method === undefined
      ? undefined
      : async (...args: unknown[]): Promise<unknown> => {
          const ctx = args.at(-1) as OperationContext;
          const key = `${operation}/${subjectOf(operation, args)}`;
          const attempt = (attempts.get(key) ?? 0) + 1;
          attempts.set(key, attempt);
          const call: Call = { operation, subject: subjectOf(operation, args), application, attempt, ctx };
          await fire('before', call);
          const result = await method.apply(inner, args);
          await fire('after', call);
          return result;
        };
  };
  const wrapped = Object.fromEntries(
    connectorOperations.map((operation) => [operation, wrap(operation)]).filter(([, method]) => method !== undefined),
  ) as Partial<Connector>;
  return {
    connector: { ...inner, ...wrapped },
    fired: () => counts,
    assertFired: () => {
      const silent = rules.filter((rule, index) => (counts[index] ?? 0) < (rule.atLeast ?? 1));
      if (silent.length > 0) {
        const names = silent.map(
          (rule) => `${rule.when} ${rule.operation} ${rule.account ?? '*'} #${rule.attempt ?? '*'}`,
        );
        throw new Error(`faults that did not fire often enough: ${names.join(', ')}`);
      }
    },
  };
}

interface Call {
  readonly operation: ConnectorOperation;
  readonly subject: string;
  readonly application: string;
  readonly attempt: number;
  readonly ctx: OperationContext;
}

function fits(rule: FaultRule, call: Call): boolean {
  return (
    (rule.operation === '*' || rule.operation === call.operation) &&
    (rule.application === undefined || rule.application === call.application) &&
    (rule.account === undefined || rule.account === call.subject) &&
    (rule.attempt === undefined || rule.attempt === call.attempt)
  );
}

async function act(rule: FaultRule, call: Call): Promise<void> {
  const sent = rule.when === 'after';
  switch (rule.fault.kind) {
    case 'error': {
      const { code, retryAfterMs } = rule.fault;
      throw new ConnectorError({ code, operation: call.operation, sent, retryAfterMs, targetCode: 'injected' });
    }
    case 'hang':
      await untilOver(call.ctx);
      throw new ConnectorError({ code: sent ? 'AMBIGUOUS' : 'TIMEOUT', operation: call.operation, sent });
    case 'call':
      await rule.fault.work();
  }
}

/** Resolves when the operation is cancelled or its deadline comes; leaves no timer behind. */
export async function untilOver(ctx: OperationContext): Promise<void> {
  const remainingMs = Math.max(0, Date.parse(ctx.deadline) - Date.now());
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, remainingMs);
    ctx.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    if (ctx.signal.aborted) resolve();
  });
}

/** Whom an operation is about: the ref's native id, or the login. */
function subjectOf(operation: ConnectorOperation, args: readonly unknown[]): string {
  switch (operation) {
    case 'create':
      return (args[0] as { login: string }).login;
    case 'probeSignIn':
      return String(args[0]);
    case 'find':
      return (args[0] as { value: string }).value;
    case 'verify':
      return (args[0] as { ref: AccountRef }).ref.nativeId;
    case 'addMember':
    case 'removeMember':
      return (args[1] as AccountRef).nativeId;
    case 'list':
      return '';
    case 'listMembers':
      return (args[0] as { name: string }).name;
    default:
      return (args[0] as AccountRef).nativeId;
  }
}
