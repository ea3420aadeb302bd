import type { ActualAccount, AttributeValue, DesiredAccount } from '../plan/types.js';
import type { ApplicationSlug } from '../process/ids.js';

/** An account as its target showed it at one moment. */
export interface AccountSnapshot {
  readonly login: string;
  readonly status: ActualAccount['status'];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly entitlements: readonly string[];
}

/** Both accounts of a move before it began. Null: there was none, as far as Tenure knew. */
export interface MoveSnapshot {
  readonly from: AccountSnapshot;
  readonly to: AccountSnapshot | null;
  /** How many facts there were: what HR said since has changed the old account, too, and goes before the snapshot. */
  readonly facts: number;
}

/**
 * What a roll-back wants of the two accounts. The old one as it was: the move has only closed it, so only that is undone, unless HR has spoken since and
 * `wanted`, what policy says now, has to be caught up with. The new one as it was, or away when there was none. Pure.
 */
export function restored(
  move: { readonly from: ApplicationSlug; readonly to: ApplicationSlug },
  before: MoveSnapshot,
  now: {
    readonly actual: readonly ActualAccount[];
    readonly wanted: DesiredAccount | undefined;
    readonly facts: number;
  },
): readonly DesiredAccount[] {
  const at = (slug: ApplicationSlug): ActualAccount | undefined => now.actual.find((one) => one.application === slug);
  const [from, to] = [at(move.from), at(move.to)];
  const isCaughtUp = before.facts === now.facts;
  return [
    ...(isCaughtUp && from !== undefined ? [asItWas(move.from, { ...from, status: before.from.status }, from)] : []),
    ...(isCaughtUp || now.wanted === undefined ? [] : [now.wanted]),
    ...(before.to === null || to === undefined ? [] : [asItWas(move.to, before.to, to)]),
  ];
}

function asItWas(application: ApplicationSlug, before: AccountSnapshot, actual: ActualAccount): DesiredAccount {
  const added = Object.keys(actual.attributes).filter((name) => !(name in before.attributes));
  return {
    application,
    mode: 'sync',
    login: before.login,
    enabled: before.status === 'enabled',
    attributes: { ...before.attributes, ...Object.fromEntries(added.map((name) => [name, null])) },
    entitlements: before.entitlements.map((name) => ({ name, sensitive: false, cutAtNotice: false, reasons: [] })),
    reasons: [],
    sensitive: false,
  };
}

/** In what an account differs from its snapshot: codes and names of attributes, never a value. Empty when in nothing. Pure. */
export function differences(before: AccountSnapshot | null, after: AccountSnapshot | null): readonly string[] {
  if (before === null || after === null) return before === after ? [] : ['existence'];
  const names = new Set([...Object.keys(before.attributes), ...Object.keys(after.attributes)]);
  return [
    ...(before.login === after.login ? [] : ['login']),
    ...(before.status === after.status ? [] : ['status']),
    ...[...names]
      .sort()
      .filter((name) => textOf(before.attributes[name]) !== textOf(after.attributes[name]))
      .map((name) => `attribute:${name}`),
    ...(textOf(before.entitlements) === textOf(after.entitlements) ? [] : ['entitlements']),
  ];
}

function textOf(value: AttributeValue | undefined): string {
  return JSON.stringify(Array.isArray(value) ? [...(value as readonly string[])].sort() : (value ?? null));
}
