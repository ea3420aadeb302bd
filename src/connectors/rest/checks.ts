import type { ExpectedState, Finding, Health, OperationContext, TargetSchema, Verification } from '../connector.js';
import { compareState } from '../shared/compare.js';
import { listSource, readAccount } from './accounts.js';
import type { RestContext } from './context.js';
import { runOf } from './context.js';
import { entitlementsOf } from './groups.js';
import { readPage, start } from './pages.js';
import { measureHealth } from '../shared/health.js';

/** Reads on a connection of its own, and entitlements from the target's own list of them. */
export async function verify(rest: RestContext, expected: ExpectedState, ctx: OperationContext): Promise<Verification> {
  return rest.transport.onOwnConnection(async (send) => {
    const run = { operation: 'verify', ctx, send };
    const seen = await readAccount(rest, expected.ref, run);
    const asked = (expected.entitlementsPresent?.length ?? 0) + (expected.entitlementsAbsent?.length ?? 0) > 0;
    if (seen === undefined) return compareState(expected, undefined, 'http:own-connection');
    const entitlements = asked ? await entitlementsOf(rest, expected.ref.nativeId, run) : undefined;
    const road = asked ? 'http:own-connection+groups' : 'http:own-connection';
    return compareState(expected, { ...seen.observed, entitlements }, road);
  });
}

/** Reads one account of the list. Never throws. */
export function health(rest: RestContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(() => readPage(rest, listSource(rest), start, 1, runOf(rest, 'health', ctx)));
}

/** Reads a page of accounts and says what the configuration cannot do. Read-only. */
export async function validate(rest: RestContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const state = await health(rest, ctx);
  if (!state.ok) {
    const message = 'the accounts of the target cannot be read';
    return [{ severity: 'error', code: state.code ?? 'UNAVAILABLE', message }];
  }
  const { config } = rest;
  const missing: [boolean, string, string][] = [
    [config.adoptionKey === undefined, 'no-adoption-key', 'a create whose answer is lost needs a person to decide'],
    [config.signIn === undefined, 'no-sign-in', 'no sign-in is configured: cuts are proven by reading only'],
    [
      config.sessions === undefined,
      'no-sessions',
      'sessions cannot be ended: they last as long as the target lets them',
    ],
  ];
  return missing
    .filter(([isMissing]) => isMissing)
    .map(([, code, message]) => ({ severity: 'warning', code, message }));
}

export function schemaOf(rest: RestContext): TargetSchema {
  const attributes = Object.entries(rest.config.attributes).map(([name, { type, required, writable }]) => ({
    name,
    type,
    required,
    writable,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
