import type { AttributeValue, ExpectedState, Mismatch, ObservedAccount, Verification } from '../connector.js';

/** True when both mean the same: absent, null and empty are one, lists compare without order. */
export function sameValue(left: AttributeValue | undefined, right: AttributeValue | undefined): boolean {
  if (isEmpty(left) || isEmpty(right)) {
    return isEmpty(left) && isEmpty(right);
  }
  if (isList(left) && isList(right)) {
    return left.length === right.length && JSON.stringify(left.toSorted()) === JSON.stringify(right.toSorted());
  }
  return left === right;
}

function isList(value: AttributeValue | undefined): value is readonly string[] {
  return Array.isArray(value);
}

function isEmpty(value: AttributeValue | undefined): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/**
 * Compares what was read with what should be, and names each difference without its value. What the target does not
 * show makes the verdict `unknown`; while the write is settling a difference is `pending`.
 */
export function compareState(expected: ExpectedState, seen: ObservedAccount | undefined, road: string): Verification {
  const shown: Record<string, unknown> = { exists: seen !== undefined };
  if (seen === undefined || !expected.exists) {
    const mismatches: Mismatch[] = (seen !== undefined) === expected.exists ? [] : [{ what: 'existence' }];
    return { verdict: verdictOf(mismatches, false, expected), mismatches, road, seen: shown };
  }
  const mismatches: Mismatch[] = [];
  let unknown = compareStatus(expected, seen, mismatches, shown);
  if (expected.login !== undefined && expected.login !== seen.login) {
    mismatches.push({ what: 'attribute', name: 'login' });
    shown['login'] = seen.login;
  }
  for (const [name, value] of Object.entries(expected.attributes ?? {})) {
    shown[name] = seen.attributes[name] ?? null;
    if (!sameValue(value, seen.attributes[name])) {
      mismatches.push({ what: 'attribute', name });
    }
  }
  unknown = compareEntitlements(expected, seen, mismatches, shown) || unknown;
  return { verdict: verdictOf(mismatches, unknown, expected), mismatches, road, seen: shown };
}

function compareStatus(
  expected: ExpectedState,
  seen: ObservedAccount,
  mismatches: Mismatch[],
  shown: Record<string, unknown>,
): boolean {
  if (expected.status === undefined) {
    return false;
  }
  shown['status'] = seen.status;
  if (seen.status !== 'unknown' && seen.status !== expected.status) {
    mismatches.push({ what: 'status' });
  }
  return seen.status === 'unknown';
}

function compareEntitlements(
  expected: ExpectedState,
  seen: ObservedAccount,
  mismatches: Mismatch[],
  shown: Record<string, unknown>,
): boolean {
  const present = expected.entitlementsPresent ?? [];
  const absent = expected.entitlementsAbsent ?? [];
  if (present.length + absent.length === 0) {
    return false;
  }
  if (seen.entitlements === undefined) {
    return true;
  }
  const held = new Set(seen.entitlements);
  shown['entitlements'] = [...present, ...absent].filter((name) => held.has(name));
  for (const name of present.filter((wanted) => !held.has(wanted))) {
    mismatches.push({ what: 'entitlement', name });
  }
  for (const name of absent.filter((unwanted) => held.has(unwanted))) {
    mismatches.push({ what: 'entitlement', name });
  }
  return false;
}

function verdictOf(
  mismatches: readonly Mismatch[],
  unknown: boolean,
  expected: ExpectedState,
): Verification['verdict'] {
  if (mismatches.length > 0) {
    return expected.settling === true ? 'pending' : 'mismatch';
  }
  return unknown ? 'unknown' : 'ok';
}
