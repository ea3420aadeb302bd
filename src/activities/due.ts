import { WithStartWorkflowOperation } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import { identityWorkflowId } from '../domain/process/ids.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import { LIFECYCLE_QUEUE, ledgerChangedUpdate } from '../workflows/messages.js';
import type { ActivityDeps } from './deps.js';
import { plusMs } from './lib/clock.js';

export interface DueQuery {
  readonly now: Instant;
  readonly horizonMs: number;
  readonly limit: number;
  readonly after?: { readonly dueAt: string; readonly identityId: string };
}

export interface DuePage {
  readonly identityIds: readonly IdentityId[];
  readonly after?: { readonly dueAt: string; readonly identityId: string };
}

/** One page of people whose next transition comes within the horizon, earliest first. Read-only. */
export async function listDue(deps: ActivityDeps, query: DueQuery): Promise<DuePage> {
  const rows = await deps.db
    .selectFrom('identity')
    .select(['identity_id', 'next_due_at'])
    .where('next_due_at', '<=', plusMs(query.now, query.horizonMs))
    .$if(query.after !== undefined, (select) =>
      select.where(
        sql<boolean>`(next_due_at, identity_id) > (${query.after?.dueAt ?? ''}::timestamptz, ${query.after?.identityId ?? ''}::uuid)`,
      ),
    )
    .orderBy('next_due_at')
    .orderBy('identity_id')
    .limit(query.limit)
    .execute();
  const last = rows.at(-1);
  return {
    identityIds: rows.map((row) => row.identity_id),
    ...(last === undefined || last.next_due_at === null || rows.length < query.limit
      ? {}
      : { after: { dueAt: last.next_due_at, identityId: last.identity_id } }),
  };
}

const AT_ONCE = 16;

/** Starts or wakes the identity workflows of a page. Safe to repeat: a running one only looks again. */
export async function wakeIdentities(
  client: Client,
  input: { readonly identityIds: readonly IdentityId[] },
): Promise<void> {
  for (let start = 0; start < input.identityIds.length; start += AT_ONCE)
    await Promise.all(input.identityIds.slice(start, start + AT_ONCE).map((id) => wake(client, id)));
}

async function wake(client: Client, identityId: IdentityId): Promise<void> {
  await client.workflow.executeUpdateWithStart(ledgerChangedUpdate, {
    args: [{ ledgerVersion: 0, urgent: false }],
    startWorkflowOperation: new WithStartWorkflowOperation('identityWorkflow', {
      workflowId: identityWorkflowId(identityId),
      taskQueue: LIFECYCLE_QUEUE,
      args: [{ identityId }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  });
}
