import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import type { ReportOccasion } from '../domain/process/kinds.js';
import { addNotice } from '../notices/outbox.js';
import { heirOf } from '../planning/heir.js';
import { loadPerson } from '../planning/person.js';
import { makeReport } from '../report/make-report.js';
import { findReport, storeReport } from '../report/store.js';
import type { ActivityDeps } from './deps.js';

export interface ReportInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
  readonly occasion: ReportOccasion;
  /** Made by the workflow; the notice has the same. */
  readonly reportId: string;
}

/**
 * Makes the signed report of a leaver, keeps it as the next version, writes the audit record and puts the notice to the manager into the outbox, all at once. Safe
 * to repeat: a report that is there is not made again. Of an erased person nothing is made. Null: no report was made; without a signing key the outbox says so.
 */
export async function recordReport(
  deps: ActivityDeps,
  input: ReportInput,
): Promise<{ readonly version: number | null }> {
  const { db, keys } = deps;
  const known = await findReport(db, { reportId: input.reportId });
  if (known !== undefined) return { version: known.version };
  if (await isErased(deps, input.identityId)) return { version: null };
  const { identityId, processId, occasion: kind, reportId, now } = input;
  const about = { noticeId: reportId, identityId, processId, kind };
  const recipientId = await heirOf(db, keys, await loadPerson(db, keys, identityId), now);
  const signer = deps.reportSigner;
  if (signer === undefined) {
    const state = 'failed';
    await addNotice(db, { ...about, recipientId, reportId: undefined, state, code: 'no-signing-key' });
    return { version: null };
  }
  const report = await makeReport(db, keys, processId, now);
  if (report === undefined) return { version: null };
  const text = await signer.sign(report);
  const kept = { reportId, identityId, processId, occasion: kind, at: now, keyId: signer.publicKey.kid, text };
  return db.transaction().execute(async (trx) => {
    const { version } = await storeReport(trx, keys, kept);
    const state =
      recipientId === undefined ? 'no-recipient' : deps.isMailConfigured === true ? 'pending' : 'not-configured';
    await addNotice(trx, { ...about, recipientId, reportId, state });
    return { version };
  });
}

async function isErased(deps: ActivityDeps, identityId: IdentityId): Promise<boolean> {
  const row = await deps.db
    .selectFrom('identity_key')
    .select('destroyed_at')
    .where('identity_id', '=', identityId)
    .executeTakeFirst();
  return row !== undefined && row.destroyed_at !== null;
}
