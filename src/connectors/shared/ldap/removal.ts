import type { AccountRef, MutationResult, OperationContext } from '../../connector.js';
import type { DirectoryContext } from './dialect.js';
import { isWithin } from './dn.js';
import { entryOfRef, requireEntry } from './entries.js';
import { moveEntry } from './accounts.js';
import { groupName, removeFromGroup, ordinaryGroupsOf } from './groups.js';
import { resultCodeOf, resultCodes } from './result-codes.js';
import { requireAccount } from '../object-class.js';

/** Moves the entry below the archive's container; the account's other state stays as it is. */
export async function archiveAccount(
  context: DirectoryContext,
  container: string,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  return context.directory.run('archive', ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, 'archive');
    if (isWithin(entry.dn, container)) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await moveEntry(context, session, entry, { container });
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** Takes the memberships away, then the entry: a later account of the same name inherits nothing. */
export async function deleteAccount(
  context: DirectoryContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  return context.directory.run('delete', ctx, async (session) => {
    const entry = await entryOfRef(context, session, ref);
    if (entry === undefined) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const groups = await ordinaryGroupsOf(context, session, entry);
    for (const group of groups) {
      await removeFromGroup(context, session, entry, group, 'delete');
    }
    try {
      await session.remove(entry.dn);
    } catch (error) {
      // Gone meanwhile: somebody else was quicker.
      if (resultCodeOf(error) !== resultCodes.noSuchObject) throw error;
    }
    const held = groups.map((group) => groupName(context, group.dn));
    return { outcome: 'applied', ref, changed: [{ attribute: 'entitlements', op: 'remove', value: held }] };
  });
}
