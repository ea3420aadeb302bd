import { sql } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { Instant } from '../../domain/process/ids.js';
import type { Notice } from '../dispatch/dispatcher.js';

/**
 * Puts the news of a person into the inbox, in the transaction of what it tells of: whoever cannot be told at once is told later. What was urgent stays so until
 * it is delivered. Gives the notice back, for the dispatcher after the commit.
 */
export async function putIntoInbox(trx: Queryable, notice: Notice, now: Instant): Promise<Notice> {
  const { identityId, ledgerVersion, urgent } = notice;
  const inbox = { ledger_version: ledgerVersion, changed_at: now };
  await trx
    .insertInto('inbox')
    .values({ identity_id: identityId, urgent, delivered_at: null, ...inbox })
    .onConflict((conflict) =>
      conflict
        .column('identity_id')
        .doUpdateSet({ ...inbox, urgent: sql<boolean>`inbox.urgent or ${urgent}::boolean` }),
    )
    .execute();
  return notice;
}
