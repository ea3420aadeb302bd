import { appendAudit } from '../../db/audit.js';
import { brand } from '../../domain/process/ids.js';
import type { ApplicationSlug, IdentityId, Instant } from '../../domain/process/ids.js';
import { loadPerson } from '../../planning/person.js';
import { managerIdentity } from '../../planning/manager.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

export interface HandedOver {
  readonly application: string;
  readonly login: string | null;
  readonly secret: string;
}

/**
 * Hands the first credential of an application over, once: the stored secret is gone with the transaction that records who collected it (edge case 17).
 * A manager may collect for their own people. 404 when there is none, 410 when it was collected or its time has passed.
 */
export async function collectCredential(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>,
  input: { readonly identityId: IdentityId; readonly application: string; readonly caller: Caller },
): Promise<HandedOver> {
  const { identityId, caller } = input;
  const application = brand<ApplicationSlug>(input.application);
  const now = deps.now();
  return deps.db.transaction().execute(async (trx) => {
    if (caller.role === 'manager') {
      // By the ledger and not by the list row: the manager may have become known after the person.
      const person = await loadPerson(trx, deps.keys, identityId);
      const managerId = await managerIdentity(trx, deps.keys, person, person.stateAt(now));
      if (caller.identityId === undefined || managerId !== caller.identityId) throw notFound('credential');
    }
    const row = await trx
      .selectFrom('credential_handover')
      .select(['handover_id', 'secret', 'expires_at', 'process_id'])
      .where('identity_id', '=', identityId)
      .where('application', '=', application)
      .orderBy('created_at', 'desc')
      .limit(1)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('credential');
    if (row.secret === null) throw new ApiProblem(410, 'already-collected', 'This credential has been collected.');
    if (row.expires_at <= now) throw new ApiProblem(410, 'expired', 'The time to collect this credential has passed.');
    const secret = await deps.keys.decryptFor(trx, identityId, `handover/${application}`, row.secret);
    if (typeof secret !== 'string') throw notFound('credential');
    await trx
      .updateTable('credential_handover')
      .set({ secret: null, collected_at: now, collected_by: caller.name })
      .where('handover_id', '=', row.handover_id)
      .execute();
    await appendAudit(trx, deps.keys, {
      identityId,
      at: brand<Instant>(now),
      actor: caller.name,
      action: 'credential.collected',
      body: { application, processId: row.process_id },
    });
    const account = await trx
      .selectFrom('account')
      .select('login')
      .where('identity_id', '=', identityId)
      .where('application', '=', application)
      .where('unlinked_at', 'is', null)
      .executeTakeFirst();
    return { application, login: account?.login ?? null, secret };
  });
}
