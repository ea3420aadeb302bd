import type { AccountRef, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { codeOfStatus } from '../shared/http/classify.js';
import type { HttpCall } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import type { ScimContext } from './client.js';
import { ifMatch } from './client.js';
import { asArray } from './paths.js';

/** One write of several. */
export interface BulkStep {
  readonly method: 'PUT' | 'PATCH' | 'DELETE';
  /** Below the SCIM base, as Bulk wants it. */
  readonly path: string;
  readonly data?: JsonObject;
  readonly version?: string | undefined;
}

/**
 * Sends writes in this order: as Bulk requests within the server's limits where it announces Bulk (RFC 7644, 3.7), else one by one. The first failure
 * ends it (`failOnErrors: 1`), what follows it is not done. A step that is done already (404) is no failure. When something was done before the
 * failure: PARTIAL with the account's ref; else what the failed step means. Each step must be safe to repeat.
 */
export async function sendSteps(
  scim: ScimContext,
  steps: readonly BulkStep[],
  operation: string,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<void> {
  const { bulk } = await scim.features(ctx);
  const parts = bulk === undefined || steps.length === 1 ? steps.map((step) => [step]) : chunks(steps, bulk);
  let done = 0;
  for (const part of parts) {
    const [only] = part;
    try {
      if (part.length === 1 && only !== undefined) {
        await sendOne(scim, only, operation, ctx);
      } else {
        await sendBulk(scim, part, operation, ctx);
      }
    } catch (error) {
      const within = error instanceof BulkFailure ? error.done : 0;
      const cause = error instanceof BulkFailure ? error.first : error;
      if (done + within === 0 || !(cause instanceof ConnectorError)) throw cause;
      const targetCode = `${cause.targetCode ?? cause.code} after ${done + within} of ${steps.length}`;
      throw new ConnectorError({ ...cause, code: 'PARTIAL', operation, sent: true, ref, targetCode });
    }
    done += part.length;
  }
}

async function sendOne(scim: ScimContext, step: BulkStep, operation: string, ctx: OperationContext): Promise<void> {
  const call: HttpCall = {
    operation,
    method: step.method,
    url: `${scim.baseUrl}${step.path}`,
    ...(step.data === undefined ? {} : { body: step.data }),
    write: true,
    ...(await ifMatch(scim, step.version, ctx)),
  };
  await scim.http.send(call, ctx, [404, 410]);
}

/** Some steps of a Bulk were done, and `first` is why the next one was not. */
class BulkFailure extends Error {
  readonly done: number;
  readonly first: ConnectorError;

  constructor(done: number, first: ConnectorError) {
    super('bulk failed');
    this.done = done;
    this.first = first;
  }
}

async function sendBulk(
  scim: ScimContext,
  steps: readonly BulkStep[],
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const { etag } = await scim.features(ctx);
  const call: HttpCall = {
    operation,
    method: 'POST',
    url: `${scim.baseUrl}/Bulk`,
    body: bulkBody(steps, etag),
    write: true,
  };
  const answer = await scim.http.send(call, ctx);
  const results = asArray(asObject(answer.body)['Operations']).map((result) => statusOf(asObject(result)));
  const failed = results.findIndex((status) => status >= 400 && status !== 404 && status !== 410);
  if (failed < 0 && results.length === steps.length && !results.includes(Number.NaN)) {
    return;
  }
  // Results that are missing or say nothing: something may have been done, and only a read can tell.
  const status = failed < 0 ? undefined : results[failed];
  const method = steps[failed]?.method ?? 'PATCH';
  const code = status === undefined ? 'AMBIGUOUS' : codeOfStatus({ method, write: true }, status);
  const targetCode = status === undefined ? 'bulk-incomplete' : `bulk-http-${status}`;
  const first = new ConnectorError({ code, operation, sent: true, targetCode });
  throw new BulkFailure(results.filter((result) => result < 300).length, first);
}

/** `status` is text in RFC 7644; earlier drafts, and some servers, have an object or a number. */
function statusOf(result: JsonObject): number {
  const status: Json | undefined = result['status'];
  const text = typeof status === 'object' ? asObject(status)['code'] : status;
  return typeof text === 'string' || typeof text === 'number' ? Number(text) : Number.NaN;
}

function bulkBody(steps: readonly BulkStep[], etag: boolean): JsonObject {
  return {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'],
    failOnErrors: 1,
    Operations: steps.map(({ method, path, data, version }) => ({
      method,
      path,
      ...(data === undefined ? {} : { data }),
      ...(etag && version !== undefined ? { version } : {}),
    })),
  };
}

/** As many steps per request as the server takes, in their order; one that is too large alone goes by itself, without Bulk. */
function chunks(
  steps: readonly BulkStep[],
  limits: { readonly maxOperations: number; readonly maxPayloadSize: number },
): readonly (readonly BulkStep[])[] {
  const parts: BulkStep[][] = [];
  for (const step of steps) {
    const last = parts.at(-1);
    const size = Buffer.byteLength(JSON.stringify(bulkBody([...(last ?? []), step], true)));
    if (last === undefined || last.length >= limits.maxOperations || size > limits.maxPayloadSize) {
      parts.push([step]);
    } else {
      last.push(step);
    }
  }
  return parts;
}
