import { SYSTEM } from '../../db/keys.js';
import { linkAccount } from '../../onboarding/links.js';
import { bodyFromJson, stagedContext } from '../../onboarding/staged.js';
import type { ActivityDeps } from '../deps.js';
import { advanceImport, loadImport } from './import-run.js';
import type { ImportRef } from './import-run.js';

const PAGE = 100;

/**
 * Links every strong match of an import. A page of links, their audit records and the results of the staged rows are one transaction; what a crash cut off is done
 * by the next try, and what is linked already stays as it is. A link that came in between is a conflict, never overwritten.
 */
export async function linkImport(
  deps: ActivityDeps,
  ref: ImportRef,
  beat: { readonly signal: AbortSignal; heartbeat(detail: { readonly done: number; readonly of: number }): void },
): Promise<void> {
  let done = 0;
  for (;;) {
    beat.signal.throwIfAborted();
    const run = await loadImport(deps, ref);
    if (run.row.stage !== 'linking') return;
    const rows = await deps.db
      .selectFrom('staged_account')
      .selectAll()
      .where('import_id', '=', ref.importId)
      .where('result', '=', 'strong')
      // One order for everybody who locks several people.
      .orderBy('identity_ids')
      .limit(PAGE)
      .execute();
    beat.heartbeat({ done, of: run.row.accounts });
    await deps.db.transaction().execute(async (trx) => {
      for (const row of rows) {
        const [identityId] = row.identity_ids;
        if (identityId === undefined) continue;
        const body = bodyFromJson(await deps.keys.decryptFor(trx, SYSTEM, stagedContext(ref.importId), row.body));
        const outcome = await linkAccount(trx, deps.keys, {
          application: run.application.slug,
          nativeId: row.native_id,
          identityId,
          status: row.status,
          body,
          importId: ref.importId,
          by: row.keys,
          actor: run.row.requested_by,
          now: ref.now,
        });
        const isLinked = outcome === 'linked' || outcome === 'already-linked';
        await trx
          .updateTable('staged_account')
          .set(isLinked ? { result: 'linked', code: 'now' } : { result: 'conflict', code: outcome })
          .where('import_id', '=', ref.importId)
          .where('native_id', '=', row.native_id)
          .execute();
      }
      await advanceImport(trx, ref, rows.length < PAGE ? { stage: 'done' } : {});
    });
    done += rows.length;
  }
}
