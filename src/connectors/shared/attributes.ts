import type { AttributeDelta, Attributes, AttributeValue } from '../connector.js';
import { sameValue } from './compare.js';

/** The value an attribute has after one delta; add and remove work on lists and, for single values, replace or clear. */
export function applyDelta(current: AttributeValue | undefined, delta: AttributeDelta): AttributeValue {
  if (delta.op === 'replace') {
    return delta.value;
  }
  const values = toList(delta.value);
  if (!Array.isArray(current) && !Array.isArray(delta.value)) {
    if (delta.op === 'add') {
      return delta.value;
    }
    return sameValue(current, delta.value) || delta.value === null ? null : (current ?? null);
  }
  const list = toList(current ?? null);
  if (delta.op === 'add') {
    return [...list, ...values.filter((value) => !list.includes(value))];
  }
  return list.filter((value) => !values.includes(value));
}

function toList(value: AttributeValue): readonly string[] {
  if (value === null) {
    return [];
  }
  return Array.isArray(value) ? (value as readonly string[]) : [String(value)];
}

/** Folds deltas into `replace` deltas that really change something; the same deltas twice give none the second time. */
export function effectiveDeltas(current: Attributes, deltas: readonly AttributeDelta[]): readonly AttributeDelta[] {
  const after = new Map<string, AttributeValue>();
  for (const delta of deltas) {
    const before = after.get(delta.attribute) ?? current[delta.attribute];
    after.set(delta.attribute, applyDelta(before, delta));
  }
  return [...after]
    .filter(([attribute, value]) => !sameValue(current[attribute], value))
    .map(([attribute, value]) => ({ attribute, op: 'replace' as const, value }));
}
