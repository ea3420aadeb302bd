import { failureOf } from '../shared/http/classify.js';
import type { HttpAnswer, HttpCall } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';

/** An answer that is no SCIM resource or list (an error under a 200, another service's page) is no answer: UNAVAILABLE, or AMBIGUOUS after a write. */
function unexpected(call: HttpCall): Error {
  return failureOf(call, call.write ? 'AMBIGUOUS' : 'UNAVAILABLE', 'unexpected-body');
}

/** The resource that was read; its id must be the one that was asked for. */
export function resourceRead(call: HttpCall, answer: HttpAnswer, id: string): JsonObject {
  const resource = asObject(answer.body);
  if (resource['id'] !== id) throw unexpected(call);
  return resource;
}

/** The answer to a write: nothing (204), or the resource (RFC 7644, 3.5); anything else does not say that the write was done. */
export function writtenResource(call: HttpCall, answer: HttpAnswer): JsonObject {
  const resource = asObject(answer.body);
  const isEmpty = answer.body === undefined || answer.body === null || Object.keys(resource).length === 0;
  if (Array.isArray(answer.body) || (!isEmpty && typeof resource['id'] !== 'string')) throw unexpected(call);
  return resource;
}

/** The resources of a ListResponse (RFC 7644, 3.4.2). */
export function listOf(call: HttpCall, answer: HttpAnswer): readonly JsonObject[] {
  const body = asObject(answer.body);
  const resources = body['Resources'];
  if (Array.isArray(resources)) return resources.map(asObject);
  if (body['totalResults'] !== 0) throw unexpected(call);
  return [];
}

/** A ServiceProviderConfig (RFC 7643, 5): something in it must show that it is one. */
export function providerConfig(call: HttpCall, answer: HttpAnswer): JsonObject {
  const body = asObject(answer.body);
  if (!['patch', 'bulk', 'filter', 'etag', 'pagination'].some((name) => body[name] !== undefined))
    throw unexpected(call);
  return body;
}
