import type { AccountRef, OperationContext } from '../connector.js';
import type { HttpCall } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import { writtenResource } from './answers.js';
import type { Current, ScimContext } from './client.js';
import { ifMatch, userUrl } from './client.js';
import type { PatchChange } from './patch.js';
import { patchBody, patchBodyWithoutPath } from './patch.js';
import { userUrn } from './paths.js';

/** One PATCH with an operation per top-level attribute (lists are replaced whole), or one PUT; If-Match where announced. */
export async function writeUser(
  scim: ScimContext,
  ref: AccountRef,
  current: Current,
  after: JsonObject,
  tops: readonly string[],
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const { patch } = await scim.features(ctx);
  const changes = tops.map((top) => changeOf(after, top));
  const body = !patch
    ? wholeUser(after)
    : scim.quirks.patchWithoutPath === true
      ? patchBodyWithoutPath(scim.quirks, changes)
      : patchBody(scim.quirks, changes);
  const call: HttpCall = {
    operation,
    method: patch ? 'PATCH' : 'PUT',
    url: userUrl(scim, ref.nativeId),
    body,
    write: true,
    ...(await ifMatch(scim, current.version, ctx)),
  };
  writtenResource(call, await scim.http.send(call, ctx));
}

function wholeUser(after: JsonObject): JsonObject {
  const { meta: _meta, groups: _groups, ...body } = after;
  const extensions = Object.keys(body).filter((key) => key.startsWith('urn:'));
  const schemas = [...new Set([userUrn, ...extensions])];
  return { ...withoutNulls(body), schemas };
}

function changeOf(after: JsonObject, top: string): PatchChange {
  const value = valueAt(after, top);
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
    ? { op: 'remove', path: top }
    : { op: 'replace', path: top, value: typeof value === 'object' ? withoutNulls(value as JsonObject) : value };
}

function valueAt(resource: JsonObject, top: string): Json | undefined {
  if (!top.startsWith('urn:')) {
    return resource[top];
  }
  const cut = top.lastIndexOf(':');
  return asObject(resource[top.slice(0, cut)])[top.slice(cut + 1)];
}

function withoutNulls(value: JsonObject): JsonObject {
  if (Array.isArray(value)) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null));
}
