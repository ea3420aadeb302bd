import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { SYSTEM } from '../../db/keys.js';
import { bodyFromJson, stagedContext } from '../../onboarding/staged.js';
import { declareServiceAccount } from '../../onboarding/service-accounts.js';
import type { ServiceAccountProcess } from '../../onboarding/service-accounts.js';
import { serviceAccountStart } from '../../workflows/messages.js';
import type { ActivityDeps } from '../deps.js';
import { loadImport } from '../onboarding/import-run.js';
import type { ImportRef, ImportRun } from '../onboarding/import-run.js';

const PAGE = 200;

interface DiscoverBeat {
  readonly signal: AbortSignal;
  heartbeat(detail: { readonly done: number; readonly of: number }): void;
}

/**
 * Finds the service accounts among the listed accounts that are nobody's, by policy's expression, declares them and starts their processes. One that is known stays
 * as it is; whoever owns it is an operator's question then. A new try goes through all of them again and adds nothing twice; memory holds one page.
 */
export async function discoverServiceAccounts(
  deps: ActivityDeps,
  client: Client,
  ref: ImportRef,
  beat: DiscoverBeat,
): Promise<{ readonly found: number }> {
  const run = await loadImport(deps, ref);
  if (run.application.serviceAccounts?.when === undefined) return { found: 0 };
  let found = 0;
  let seen = 0;
  for (let after = ''; ;) {
    beat.signal.throwIfAborted();
    const page = await deps.db
      .selectFrom('staged_account')
      .select(['native_id', 'body'])
      .where('import_id', '=', ref.importId)
      .where('result', '=', 'orphan')
      .where('native_id', '>', after)
      .orderBy('native_id')
      .limit(PAGE)
      .execute();
    for (const row of page) if (await declareIfService(deps, client, ref, run, row.body)) found += 1;
    seen += page.length;
    beat.heartbeat({ done: seen, of: run.row.accounts });
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return { found };
    after = last.native_id;
  }
}

async function declareIfService(
  deps: ActivityDeps,
  client: Client,
  ref: ImportRef,
  { policy, application }: ImportRun,
  body: Buffer,
): Promise<boolean> {
  const account = bodyFromJson(await deps.keys.decryptFor(deps.db, SYSTEM, stagedContext(ref.importId), body));
  if (!policy.evaluate.isServiceAccount(application.slug, account)) return false;
  const { process } = await deps.db.transaction().execute((trx) =>
    declareServiceAccount(trx, deps.keys, {
      application: application.slug,
      login: account.login,
      origin: 'discovered',
      policyVersion: policy.version,
      actor: `import:${ref.importId}`,
      now: ref.now,
    }),
  );
  await start(client, process);
  return true;
}

async function start(client: Client, process: ServiceAccountProcess): Promise<void> {
  try {
    await client.workflow.start('serviceAccountWorkflow', serviceAccountStart(process));
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
