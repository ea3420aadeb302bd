import type { AccountRef, AccountSpec, Connector, MutationResult } from '../../../src/connectors/connector.js';
import { Secret } from '../../../src/connectors/secret.js';
import { newContext } from './checks.js';
import type { Checks, TestContext } from './checks.js';
import type { Harness, NewAccount } from './harness.js';

/** True when there can be accounts to try things on: by `create`, or by the target's administrator; else notes the skip. */
export function canMake(harness: Harness, checks: Checks): boolean {
  const possible = harness.connector.create !== undefined || harness.newAccount !== undefined;
  if (!possible) checks.skip('no account: neither create nor an administrator makes one');
  return possible;
}

/** An account as the spec says, by the connector where it makes accounts, else by the target's administrator. */
export async function make(
  harness: Harness,
  spec: AccountSpec = harness.sampleAccount(),
  { connector = harness.connector, context = newContext() }: { connector?: Connector; context?: TestContext } = {},
): Promise<NewAccount> {
  if (connector.create !== undefined) return { ref: (await connector.create(spec, context)).ref };
  return harness.newAccount!(spec);
}

/** True when `remove` can do it; else notes the skip. */
export function canRemove(harness: Harness, checks: Checks): boolean {
  const possible = harness.connector.delete !== undefined || harness.removeAccount !== undefined;
  if (!possible) checks.skip('no removal: neither delete nor an administrator does it');
  return possible;
}

export async function remove(harness: Harness, ref: AccountRef): Promise<void> {
  if (harness.connector.delete === undefined) await harness.removeAccount!(ref);
  else await harness.connector.delete(ref, newContext());
}

/** What the account's person signs in with: set by the connector where it can, else what the administrator gave. */
export async function secretOf(harness: Harness, made: NewAccount, checks: Checks): Promise<Secret | undefined> {
  const { setSecret } = harness.connector;
  if (setSecret === undefined) {
    if (made.secret === undefined) checks.skip('no setSecret, and no secret by the administrator');
    return made.secret;
  }
  const secret = Secret.random();
  await harness.connector.setSecret!(made.ref, secret, newContext());
  return secret;
}

/** One write that faults and cancels are tried on, and how often the target's own state says that it was done. */
export interface TriedWrite {
  readonly what: 'create' | 'disable';
  /** Must not be in an error. */
  readonly login: string;
  run(connector: Connector, context: TestContext): Promise<MutationResult>;
  done(): Promise<number>;
}

/** True when `newWrite` has one; else notes the skip. */
export function canWrite(harness: Harness, checks: Checks): boolean {
  const { create, disable } = harness.connector;
  if (create !== undefined) return true;
  if (disable === undefined) checks.skip('no write to try: neither create nor disable');
  return disable !== undefined && canMake(harness, checks);
}

/** A write that has not been done: a create, where there is one (a lost answer may make a second account), else a disable. */
export async function newWrite(harness: Harness): Promise<TriedWrite> {
  const spec = harness.sampleAccount();
  const { login } = spec;
  if (harness.connector.create !== undefined) {
    return {
      what: 'create',
      login,
      run: (connector, context) => connector.create!(spec, context),
      done: () => harness.countByLogin(login),
    };
  }
  const { ref } = await make(harness, spec);
  return {
    what: 'disable',
    login,
    run: (connector, context) => connector.disable!(ref, context),
    done: async () => ((await harness.peek(ref))?.enabled === false ? 1 : 0),
  };
}
