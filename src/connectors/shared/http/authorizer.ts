import type { OperationContext } from '../../connector.js';
import type { HttpCall } from './client.js';

export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  /** Appended to the URL's query. */
  readonly query?: readonly [string, string];
  /** The token that was used and can be had anew, and whether it was had for this very call. */
  readonly token?: { readonly value: string; readonly isFresh: boolean };
}

/** How Tenure itself is known to the target. */
export interface Authorizer {
  authorize(call: HttpCall, ctx: OperationContext): Promise<Authorization>;
  /** A token that the target refused: not used again. */
  forget?(token: string): void;
  close?(): Promise<void>;
}
