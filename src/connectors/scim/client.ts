import type { AccountRef, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { ScimConfig } from './config.js';
import type { HttpAnswer, HttpCall, HttpClient, Send } from '../shared/http/client.js';
import type { JsonObject } from '../shared/http/json.js';
import { asObject } from '../shared/http/json.js';

/** What a server announces in its ServiceProviderConfig; what it does not announce it does not have. */
export interface ServerFeatures {
  readonly patch: boolean;
  readonly etag: boolean;
  readonly cursor: boolean;
  readonly index: boolean;
}

/** Everything the operations of one application share. */
export interface ScimContext {
  readonly application: string;
  readonly config: ScimConfig;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly http: HttpClient;
  /** Discovered on first use and kept: it describes the server, not its data. A failed discovery is not kept. */
  features(ctx: OperationContext): Promise<ServerFeatures>;
}

/** Discovery by ServiceProviderConfig, overridden where the configuration says so; a 404 means a bare server. */
export function createFeatures(
  config: ScimConfig,
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
    const body = answer.status === 200 ? asObject(answer.body) : {};
    const supported = (feature: string): boolean => asObject(body[feature])['supported'] === true;
    const pagination = asObject(body['pagination']);
    return {
      patch: config.write === 'auto' ? supported('patch') : config.write === 'patch',
      etag: supported('etag'),
      cursor: config.paging === 'auto' ? pagination['cursor'] === true : config.paging === 'cursor',
      index: pagination['index'] !== false,
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

export function userUrl(scim: ScimContext, nativeId: string): string {
  return `${scim.baseUrl}/Users/${encodeURIComponent(nativeId)}`;
}

/** Reads one user; undefined when the server says there is none. */
export async function readUser(
  scim: ScimContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send: Send = (call, context, accept) => scim.http.send(call, context, accept),
): Promise<{ readonly resource: JsonObject; readonly version: string | undefined } | undefined> {
  const answer: HttpAnswer = await send(
    { operation, method: 'GET', url: userUrl(scim, nativeId), write: false },
    ctx,
    [404, 410],
  );
  if (answer.status >= 400) {
    return undefined;
  }
  const resource = asObject(answer.body);
  const metaVersion = asObject(resource['meta'])['version'];
  return { resource, version: answer.headers['etag'] ?? (typeof metaVersion === 'string' ? metaVersion : undefined) };
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
  const answer = await send({ operation: options.operation, method: 'GET', url, write: false }, ctx);
  return listOf(answer);
}

/** The resources of a list answer. */
export function listOf(answer: HttpAnswer): readonly JsonObject[] {
  const resources = asObject(answer.body)['Resources'];
  return Array.isArray(resources) ? resources.map(asObject) : [];
}

/** Refuses every object class but accounts, as UNSUPPORTED. */
export function requireAccount(objectClass: string, operation: string): void {
  if (objectClass !== 'account') {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
  }
}

export function refOf(scim: ScimContext, nativeId: string): AccountRef {
  return { application: scim.application, objectClass: 'account', nativeId };
}
