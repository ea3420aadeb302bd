import type { Json, JsonObject } from '../shared/http/json.js';
import type { QuirkFlags } from './quirks.js';

export interface PatchChange {
  readonly op: 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: Json;
}

/** The body of a PATCH (RFC 7644, 3.5.2), as this server wants it. */
export function patchBody(quirks: QuirkFlags, changes: readonly PatchChange[]): JsonObject {
  return {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
    Operations: changes.map(({ op, path, value }) => ({
      op: quirks.opCase === 'title' ? `${op.charAt(0).toUpperCase()}${op.slice(1)}` : op,
      path,
      ...(value === undefined ? {} : { value }),
    })),
  };
}

/** The same changes without paths: one object per operation; what is removed becomes null. */
export function patchBodyWithoutPath(quirks: QuirkFlags, changes: readonly PatchChange[]): JsonObject {
  let merged: JsonObject = {};
  for (const { path, value } of changes) {
    const cut = path.startsWith('urn:') ? path.lastIndexOf(':') : -1;
    const set = value ?? null;
    if (cut < 0) {
      merged = { ...merged, [path]: set };
    } else {
      const urn = path.slice(0, cut);
      merged = { ...merged, [urn]: { ...(merged[urn] as JsonObject | undefined), [path.slice(cut + 1)]: set } };
    }
  }
  const op = quirks.opCase === 'title' ? 'Replace' : 'replace';
  return { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [{ op, value: merged }] };
}
