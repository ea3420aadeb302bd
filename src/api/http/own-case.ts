import type { IdentityId } from '../../domain/process/ids.js';
import { ApiProblem } from './problem.js';
import type { Caller } from './tokens.js';

/**
 * Nobody cuts, stops, holds or decides about themselves, whatever their role (edge case 34): raises 403 `own-case` when the person in question is the caller's own.
 * Knows a person by the identity that their token is linked to.
 */
export function refuseOwnCase(caller: Caller, subject: IdentityId): void {
  if (caller.identityId !== subject) return;
  throw new ApiProblem(403, 'own-case', 'Nobody acts in their own case.', {
    detail: 'This is about the person that your token belongs to. Somebody else has to do it.',
  });
}
