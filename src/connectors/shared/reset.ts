import type { AccountRef, Connector, MutationResult, OperationContext } from '../connector.js';
import { Secret } from '../secret.js';

/**
 * `resetCredentials` of a target that has no transaction: sets a new secret, then hands it over. When the hand-over fails nobody knows the new secret,
 * and a repeated call makes another one.
 */
export function resetBy(
  setSecret: (ref: AccountRef, secret: Secret, ctx: OperationContext) => Promise<MutationResult>,
): NonNullable<Connector['resetCredentials']> {
  return async (ref, sink, ctx) => {
    const secret = Secret.random();
    const result = await setSecret(ref, secret, ctx);
    const { reference } = await sink.put(secret);
    return { ...result, secretReference: reference };
  };
}
