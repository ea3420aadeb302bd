import { sql } from 'kysely';
import { z } from 'zod';
import type { Queryable } from '../../db/database.js';
import type { ServiceAccountState } from '../../db/schema.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { voiceKey } from '../../domain/service-account/next-step.js';
import type { Stage } from '../../domain/service-account/next-step.js';
import type { ApiDeps } from '../deps.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);
const NOBODY = '00000000-0000-0000-0000-000000000000' as IdentityId;

function rows(db: Queryable, caller: Caller) {
  return db
    .selectFrom('service_account')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select([
      'service_account.identity_id',
      'service_account.application',
      'service_account.login',
      'service_account.origin',
      'service_account.purpose',
      'service_account.declared_at',
      'service_account.state',
      'service_account.round',
      'service_account.screamed_at',
      'process.process_id',
      'process.phase',
      'process.blocked_on',
      'process.due_at',
    ])
    .$if(caller.role === 'manager', (query) =>
      query.where((eb) =>
        eb.exists(
          eb
            .selectFrom('service_account_owner as owner')
            .select('owner.identity_id')
            .whereRef('owner.identity_id', '=', 'service_account.identity_id')
            .where('owner.owner_identity_id', '=', caller.identityId ?? NOBODY)
            .where('owner.ended_at', 'is', null),
        ),
      ),
    );
}

type Row = Awaited<ReturnType<ReturnType<typeof rows>['executeTakeFirstOrThrow']>>;

/** Oldest first. A manager sees those that they own and no others. */
export async function listServiceAccounts(
  deps: Pick<ApiDeps, 'db'>,
  query: { readonly state: ServiceAccountState | 'all'; readonly after?: string | undefined; readonly limit: number },
  caller: Caller,
): Promise<Page<object>> {
  const cursor = decodeCursor(query.after, cursorSchema);
  const { state } = query;
  const found = await rows(deps.db, caller)
    .$if(state !== 'all', (select) => select.where('service_account.state', '=', state as ServiceAccountState))
    .$if(cursor !== undefined, (select) =>
      select.where(
        sql<boolean>`(service_account.declared_at, service_account.identity_id) > (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
      ),
    )
    .orderBy('service_account.declared_at')
    .orderBy('service_account.identity_id')
    .limit(query.limit + 1)
    .execute();
  return pageOf(found, query.limit, (row) => [row.declared_at, row.identity_id], summaryOf);
}

function summaryOf(row: Row): object {
  return {
    serviceAccountId: row.identity_id,
    application: row.application,
    login: row.login,
    origin: row.origin,
    state: row.state,
    phase: row.state === 'open' ? row.phase : null,
    waitsFor: row.blocked_on,
    until: row.due_at,
    declaredAt: row.declared_at,
    screamedAt: row.screamed_at,
    processId: row.process_id,
  };
}

const WORD: Readonly<Record<string, string>> = {
  pending: 'asked',
  approved: 'remove',
  denied: 'keep',
  expired: 'silent',
  withdrawn: 'silent',
};

/** One service account; 404 for a manager who does not own it. */
export async function serviceAccountView(
  deps: Pick<ApiDeps, 'db' | 'keys'>,
  identityId: IdentityId,
  caller: Caller,
): Promise<object> {
  const row = await rows(deps.db, caller).where('service_account.identity_id', '=', identityId).executeTakeFirst();
  if (row === undefined) throw notFound('service account');
  const purpose =
    row.purpose === null ? undefined : await deps.keys.decryptFor(deps.db, identityId, 'service-account', row.purpose);
  return {
    ...summaryOf(row),
    purpose: typeof purpose === 'string' ? purpose : null,
    round: row.round,
    owners: await ownerViews(deps.db, row),
  };
}

async function ownerViews(db: Queryable, row: Row): Promise<readonly object[]> {
  const owners = await db
    .selectFrom('service_account_owner as owner')
    .leftJoin('identity_profile', 'identity_profile.identity_id', 'owner.owner_identity_id')
    .select(['owner.owner_identity_id', 'owner.named_at', 'identity_profile.display_name'])
    .where('owner.identity_id', '=', row.identity_id)
    .where('owner.ended_at', 'is', null)
    .orderBy('owner.named_at')
    .orderBy('owner.owner_identity_id')
    .execute();
  const asked = await db
    .selectFrom('approval')
    .select(['approver_identity_id', 'entitlement_key', 'status'])
    .where('process_id', '=', row.process_id)
    .execute();
  const word = (owner: IdentityId, stage: Stage): string => {
    const found = asked.find((one) => one.entitlement_key === voiceKey(stage, row.round, owner));
    return found === undefined ? 'not-asked' : (WORD[found.status] ?? 'silent');
  };
  return owners.map((owner) => ({
    identityId: owner.owner_identity_id,
    displayName: owner.display_name ?? '',
    namedAt: owner.named_at,
    removal: word(owner.owner_identity_id, 'removal'),
    confirmation: word(owner.owner_identity_id, 'confirmation'),
  }));
}
