import type { Selectable } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { AccountImportTable, ImportStage } from '../../db/schema.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../domain/policy/types.js';
import type { Instant } from '../../domain/process/ids.js';
import { applicationOf } from '../connector-pool.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';

export interface ImportRef {
  readonly importId: string;
  readonly now: Instant;
}

/** One import with what it works on. */
export interface ImportRun {
  readonly row: Selectable<AccountImportTable>;
  readonly policy: CompiledPolicy;
  readonly application: ApplicationPolicy;
}

/** Reads an import that still runs; raises EventSuperseded when it was ended behind the workflow's back (given up, replaced by a newer one). */
export async function loadImport(deps: ActivityDeps, { importId }: ImportRef): Promise<ImportRun> {
  const row = await deps.db
    .selectFrom('account_import')
    .selectAll()
    .where('import_id', '=', importId)
    .executeTakeFirst();
  if (row?.state !== 'running') throw new TenureError('EventSuperseded', 'import-ended');
  const policy = await deps.policies.get(deps.db, row.policy_version);
  const application = applicationOf(policy, row.application);
  if (application === undefined) throw new TenureError('PolicyViolation', 'no-such-application');
  return { row, policy, application };
}

/** Moves an import on within the caller's transaction; raises EventSuperseded when it no longer runs, so that the transaction writes nothing. */
export async function advanceImport(
  trx: Queryable,
  ref: ImportRef,
  change: Partial<{
    stage: ImportStage;
    after_key: string | null;
    cursor: Buffer | null;
    is_complete: boolean;
    pages: number;
    accounts: number;
    identities: number;
  }>,
): Promise<void> {
  const result = await trx
    .updateTable('account_import')
    .set({ ...change, touched_at: ref.now })
    .where('import_id', '=', ref.importId)
    .where('state', '=', 'running')
    .executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw new TenureError('EventSuperseded', 'import-ended');
}
