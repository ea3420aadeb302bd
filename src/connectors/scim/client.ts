import type { AccountRef, OperationContext } from '../connector.js';
import type { HttpAnswer, HttpCall, HttpClient, Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';
import { listOf, providerConfig, resourceRead } from './answers.js';
import type { ScimConfig } from './config.js';
import type { QuirkFlags } from './quirks.js';

/** What a server announces in its ServiceProviderConfig; what it does not announce it does not have. */
export interface ServerFeatures {
  readonly patch: boolean;
  readonly etag: boolean;
  readonly cursor: boolean;
  readonly index: boolean;
  /** Undefined: no Bulk (RFC 7644, 3.7). */
  readonly bulk: { readonly maxOperations: number; readonly maxPayloadSize: number } | undefined;
}

/** Everything the operations of one application share. */
export interface ScimContext {
  readonly application: string;
  readonly config: ScimConfig;
  readonly quirks: QuirkFlags;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly http: HttpClient;
  /** Discovered on first use and kept: it describes the server, not its data. A failed discovery is not kept. */
  features(ctx: OperationContext): Promise<ServerFeatures>;
}

/** Discovery by ServiceProviderConfig, overridden where the configuration says so; a 404 means a bare server. */
export function createFeatures(
  config: ScimConfig,
  quirks: QuirkFlags,
  baseUrl: string,
  send: Send,
): (ctx: OperationContext) => Promise<ServerFeatures> {
  let known: Promise<ServerFeatures> | undefined;
  const discover = async (ctx: OperationContext): Promise<ServerFeatures> => {
    const call: HttpCall = {
      operation: 'discover',
      method: 'GET',
      url: `${baseUrl}/ServiceProviderConfig`,
      write: false,
    };
    const answer = await send(call, ctx, [404, 501]);
    const body = answer.status >= 400 ? {} : providerConfig(call, answer);
    const supported = (feature: string): boolean => asObject(body[feature])['supported'] === true;
    const pagination = asObject(body['pagination']);
    const write = config.write === 'auto' && quirks.putOnly === true ? 'put' : config.write;
    return {
      patch: write === 'auto' ? supported('patch') : write === 'patch',
      etag: supported('etag'),
      cursor: config.paging === 'auto' ? pagination['cursor'] === true : config.paging === 'cursor',
      index: pagination['index'] !== false,
      bulk: config.bulk === 'auto' && supported('bulk') ? bulkLimits(asObject(body['bulk'])) : undefined,
    };
  };
  return (ctx) => {
    known ??= discover(ctx).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

/** Limits that make a Bulk of two impossible are no Bulk. */
function bulkLimits(bulk: JsonObject): ServerFeatures['bulk'] {
  const { maxOperations, maxPayloadSize } = bulk;
  return typeof maxOperations === 'number' && maxOperations > 1 && typeof maxPayloadSize === 'number'
    ? { maxOperations, maxPayloadSize }
    : undefined;
}

export function userUrl(scim: ScimContext, nativeId: string): string {
  return `${scim.baseUrl}/Users/${encodeURIComponent(nativeId)}`;
}

/** What a read of one resource gave. */
export interface Current {
  readonly resource: JsonObject;
  readonly version: string | undefined;
}

/** Reads one user; undefined when the server says there is none. */
export async function readUser(
  scim: ScimContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send: Send = (call, context, accept) => scim.http.send(call, context, accept),
): Promise<Current | undefined> {
  const call: HttpCall = { operation, method: 'GET', url: userUrl(scim, nativeId), write: false };
  const answer = await send(call, ctx, [404, 410]);
  return answer.status >= 400 ? undefined : currentOf(resourceRead(call, answer, nativeId), answer);
}

/** A resource with its version: the ETag of the answer, else `meta.version` (RFC 7643, 3.1). */
export function currentOf(resource: JsonObject, answer: HttpAnswer): Current {
  const metaVersion = asObject(resource['meta'])['version'];
  return { resource, version: answer.headers['etag'] ?? (typeof metaVersion === 'string' ? metaVersion : undefined) };
}

/** The header that makes a write fail with 412, CONFLICT, when somebody else has written since (RFC 7644, 3.14). */
export async function ifMatch(
  scim: ScimContext,
  version: string | undefined,
  ctx: OperationContext,
): Promise<{ readonly headers?: Readonly<Record<string, string>> }> {
  return version !== undefined && (await scim.features(ctx)).etag ? { headers: { 'if-match': version } } : {};
}

/** Resources that fit a filter: the first `count` of them. */
export async function search(
  scim: ScimContext,
  endpoint: 'Users' | 'Groups',
  filter: string,
  options: { readonly operation: string; readonly count?: number; readonly excluded?: string },
  ctx: OperationContext,
  send: Send = (call, context, accept) => scim.http.send(call, context, accept),
): Promise<readonly JsonObject[]> {
  const query = new URLSearchParams({ filter, startIndex: '1', count: String(options.count ?? 100) });
  if (options.excluded !== undefined) {
    query.set('excludedAttributes', options.excluded);
  }
  const url = `${scim.baseUrl}/${endpoint}?${query.toString().replaceAll('+', '%20')}`;
  const call: HttpCall = { operation: options.operation, method: 'GET', url, write: false };
  return listOf(call, await send(call, ctx));
}

export function refOf(scim: ScimContext, nativeId: string): AccountRef {
  return { application: scim.application, objectClass: 'account', nativeId };
}
