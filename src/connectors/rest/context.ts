import type { AccountRef, OperationContext } from '../connector.js';
import type { RestConfig } from './config.js';
import type { RestSend, Transport } from './transport.js';

/** Everything the operations of one application share. */
export interface RestContext {
  readonly application: string;
  readonly config: RestConfig;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly signInBaseUrl: string;
  readonly signInSecrets: Readonly<Record<string, () => string>>;
  readonly transport: Transport;
}

/** One operation under way. */
export interface Run {
  readonly operation: string;
  readonly ctx: OperationContext;
  readonly send: RestSend;
}

export function runOf(rest: RestContext, operation: string, ctx: OperationContext): Run {
  return { operation, ctx, send: rest.transport.send };
}

export function refOf(rest: RestContext, nativeId: string): AccountRef {
  return { application: rest.application, objectClass: 'account', nativeId };
}
