import { sql } from 'kysely';
import type { ActivityDeps } from '../deps.js';
import type { ImportRef } from './import-run.js';

/** Ends an import with its counts, or with the code of why it could not go on. Safe to repeat: the first end stays. */
export async function endImport(deps: ActivityDeps, input: ImportRef & { readonly code?: string }): Promise<void> {
  const rows = await deps.db
    .selectFrom('staged_account')
    .select(({ fn }) => ['result', 'code', fn.countAll<string>().as('count')])
    .where('import_id', '=', input.importId)
    .groupBy(['result', 'code'])
    .execute();
  const counts: Record<string, number> = {};
  for (const row of rows) {
    const name = row.result === 'linked' && row.code === 'now' ? 'linkedNow' : (row.result ?? 'undecided');
    counts[name] = (counts[name] ?? 0) + Number(row.count);
  }
  await deps.db
    .updateTable('account_import')
    .set({
      state: input.code === undefined ? 'done' : 'failed',
      code: input.code ?? null,
      counts: JSON.stringify(counts),
      cursor: null,
      ended_at: input.now,
      touched_at: input.now,
    })
    .where('import_id', '=', input.importId)
    .where('state', '=', 'running')
    .execute();
  // What matched is decided; the blind indexes have served.
  await sql`delete from staged_key where import_id = ${input.importId}`.execute(deps.db);
}

/** Deletes what an import staged; its row with counts stays. Safe to repeat. */
export async function dropStaged(deps: ActivityDeps, input: ImportRef): Promise<void> {
  await sql`delete from staged_key where import_id = ${input.importId}`.execute(deps.db);
  await sql`delete from staged_account where import_id = ${input.importId}`.execute(deps.db);
  await deps.db
    .updateTable('account_import')
    .set({ dropped_at: input.now, cursor: null })
    .where('import_id', '=', input.importId)
    .execute();
}
