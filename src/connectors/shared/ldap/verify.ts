import type { ExpectedState, OperationContext, Verification } from '../../connector.js';
import { compareState } from '../compare.js';
import type { DirectoryContext } from './dialect.js';
import { entryOfRef, observeEntry } from './entries.js';
import { groupsHolding } from './groups.js';
import { requireAccount } from '../object-class.js';

/** Reads on a connection that never writes; memberships from the groups' side. */
export async function verifyAccount(
  context: DirectoryContext,
  expected: ExpectedState,
  ctx: OperationContext,
): Promise<Verification> {
  requireAccount(expected.ref.objectClass, 'verify');
  return context.directory.verifying('verify', ctx, async (session) => {
    const road = 'ldap:second-connection+groups';
    const entry = await entryOfRef(context, session, expected.ref);
    if (entry === undefined) {
      return compareState(expected, undefined, road);
    }
    const entitlements = await groupsHolding(context, session, entry);
    return compareState(expected, observeEntry(context, entry, entitlements, 'verify'), road);
  });
}
