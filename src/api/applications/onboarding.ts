import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { SYSTEM } from '../../db/keys.js';
import type { StagedResult } from '../../db/schema.js';
import type { ApplicationPolicy } from '../../domain/policy/types.js';
import { brand } from '../../domain/process/ids.js';
import type { ApplicationSlug, IdentityId, Instant } from '../../domain/process/ids.js';
import { linkAccount, unlinkAccount } from '../../onboarding/links.js';
import type { LinkOutcome, UnlinkOutcome } from '../../onboarding/links.js';
import { bodyFromJson, stagedContext } from '../../onboarding/staged.js';
import type { ApiDeps } from '../deps.js';
import { refuseOwnCase } from '../http/own-case.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

const DAY_MS = 86_400_000;
/** An import without a sign of life for this long has lost its workflow; another one may begin. */
const LOST_MS = 3_600_000;

/** An application of the policy in force; 404 when there is none of that name. */
export async function applicationNamed(deps: ApiDeps, slug: string): Promise<ApplicationPolicy> {
  const policy = await deps.policies.active(deps.db);
  const application = policy?.applications.find((one) => one.slug === slug);
  if (application === undefined) throw notFound('application');
  return application;
}

/** Asks for a test where the target is reachable. The row is there before the workflow; a test that could not be started leaves none. */
export async function startTest(deps: ApiDeps, slug: string, actor: string): Promise<{ readonly testId: string }> {
  const { slug: application } = await applicationNamed(deps, slug);
  const { db } = deps;
  const now = deps.now();
  const testId = randomUUID();
  await db
    .deleteFrom('application_test')
    .where('application', '=', application)
    .where('created_at', '<', minus(now, DAY_MS))
    .execute();
  const row = { test_id: testId, application, state: 'running' as const, stage: 'queued', requested_by: actor };
  await db
    .insertInto('application_test')
    .values({ ...row, created_at: now, ended_at: null, report: null })
    .execute();
  try {
    await deps.lifecycle.startApplicationTest({ testId, application });
  } catch (error) {
    await db.deleteFrom('application_test').where('test_id', '=', testId).execute();
    throw error;
  }
  return { testId };
}

export async function testView(deps: ApiDeps, slug: string, testId: string): Promise<object> {
  const row = await deps.db
    .selectFrom('application_test')
    .selectAll()
    .where('test_id', '=', testId)
    .where('application', '=', brand<ApplicationSlug>(slug))
    .executeTakeFirst();
  if (row === undefined) throw notFound('test');
  return {
    testId,
    application: slug,
    state: row.state,
    stage: row.stage,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    report: row.report,
  };
}

/** Begins an import; what an earlier one of the application had staged is deleted. 409 while one runs, and for an application that nothing can list. */
export async function startImport(
  deps: ApiDeps,
  slug: string,
  input: { readonly link: boolean; readonly pageSize: number; readonly actor: string },
): Promise<{ readonly importId: string }> {
  const application = await applicationNamed(deps, slug);
  const policy = await deps.policies.active(deps.db);
  if (application.mode === 'manual' || policy === undefined)
    throw new ApiProblem(409, 'not-listable', 'Accounts of this application cannot be listed: a person manages them.');
  const now = deps.now();
  const importId = randomUUID();
  await deps.db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext(${`tenure/import/${slug}`}))`.execute(trx);
    const running = await trx
      .selectFrom('account_import')
      .select(['import_id', 'touched_at'])
      .where('application', '=', application.slug)
      .where('state', '=', 'running')
      .executeTakeFirst();
    if (running !== undefined && running.touched_at > minus(now, LOST_MS))
      throw new ApiProblem(409, 'import-running', 'An import of this application is running.', {
        detail: `Its id is ${running.import_id}.`,
      });
    await trx
      .updateTable('account_import')
      .set({ state: 'failed', code: 'lost', ended_at: now })
      .where('application', '=', application.slug)
      .where('state', '=', 'running')
      .execute();
    const earlier = trx.selectFrom('account_import').select('import_id').where('application', '=', application.slug);
    await trx.deleteFrom('staged_key').where('import_id', 'in', earlier).execute();
    await trx.deleteFrom('staged_account').where('import_id', 'in', earlier).execute();
    await trx
      .updateTable('account_import')
      .set({ dropped_at: now, cursor: null })
      .where('application', '=', application.slug)
      .where('dropped_at', 'is', null)
      .execute();
    await trx
      .insertInto('account_import')
      .values({
        import_id: importId,
        application: application.slug,
        state: 'running',
        stage: 'listing',
        links: input.link,
        page_size: input.pageSize,
        policy_version: policy.version,
        requested_by: input.actor,
        created_at: now,
        touched_at: now,
        ended_at: null,
        expires_at: minus(now, -DAY_MS),
        dropped_at: null,
        code: null,
        cursor: null,
        after_key: null,
        is_complete: null,
        counts: null,
      })
      .execute();
  });
  try {
    await deps.lifecycle.startImport({ importId, application: application.slug, links: input.link });
  } catch (error) {
    await deps.db.deleteFrom('account_import').where('import_id', '=', importId).execute();
    throw error;
  }
  return { importId };
}

export async function importView(deps: ApiDeps, slug: string, importId: string): Promise<object> {
  const row = await deps.db
    .selectFrom('account_import')
    .selectAll()
    .where('import_id', '=', importId)
    .where('application', '=', brand<ApplicationSlug>(slug))
    .executeTakeFirst();
  if (row === undefined) throw notFound('import');
  return {
    importId,
    application: slug,
    state: row.state,
    stage: row.stage,
    code: row.code,
    links: row.links,
    isComplete: row.is_complete,
    pages: row.pages,
    accounts: row.accounts,
    identities: row.identities,
    counts: row.counts,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    expiresAt: row.expires_at,
    droppedAt: row.dropped_at,
  };
}

/** One page of what an import found, in the order of native ids; logins are decrypted for this answer. */
export async function stagedAccounts(
  deps: ApiDeps,
  importId: string,
  page: { readonly result: StagedResult | 'all'; readonly after: string | undefined; readonly limit: number },
) {
  const { db, keys } = deps;
  const rows = await db
    .selectFrom('staged_account')
    .selectAll()
    .where('import_id', '=', importId)
    .where('result', 'is not', null)
    .$if(page.result !== 'all', (query) => query.where('result', '=', page.result as StagedResult))
    .$if(page.after !== undefined, (query) => query.where('native_id', '>', page.after ?? ''))
    .orderBy('native_id')
    .limit(page.limit + 1)
    .execute();
  const ids = [...new Set(rows.flatMap((row) => row.identity_ids))];
  const people =
    ids.length === 0
      ? []
      : await db
          .selectFrom('identity_profile')
          .select(['identity_id', 'display_name', 'user_name', 'lifecycle'])
          .where('identity_id', 'in', ids)
          .execute();
  const items = [];
  for (const row of rows) {
    const body = bodyFromJson(await keys.decryptFor(db, SYSTEM, stagedContext(importId), row.body));
    items.push({
      nativeId: row.native_id,
      login: body.login,
      status: row.status,
      result: row.result,
      code: row.code === 'now' ? null : row.code,
      keys: row.keys,
      identities: row.identity_ids.map((id) => {
        const person = people.find((one) => one.identity_id === id);
        return {
          identityId: id,
          displayName: person?.display_name ?? '',
          userName: person?.user_name ?? null,
          lifecycle: person?.lifecycle ?? null,
        };
      }),
    });
  }
  return items;
}

const LINK_PROBLEMS: Readonly<Record<Exclude<LinkOutcome, 'linked' | 'already-linked'>, string>> = {
  'linked-elsewhere': 'The account is linked to another person; end that link first.',
  'has-other-account': 'The person has another account in this application; end that link first.',
  erased: 'There is no such person any more.',
};

/** Links one listed account to one person by somebody's decision. Repeating it changes nothing; a link that stands is never overwritten. */
export async function linkOne(
  deps: ApiDeps,
  slug: string,
  input: { readonly nativeId: string; readonly identityId: IdentityId; readonly caller: Caller },
): Promise<object> {
  refuseOwnCase(input.caller, input.identityId);
  const application = await applicationNamed(deps, slug);
  return deps.db.transaction().execute(async (trx) => {
    const identity = await trx
      .selectFrom('identity')
      .select('identity_id')
      .where('identity_id', '=', input.identityId)
      .executeTakeFirst();
    if (identity === undefined) throw notFound('identity');
    const staged = await trx
      .selectFrom('staged_account')
      .innerJoin('account_import', 'account_import.import_id', 'staged_account.import_id')
      .select(['staged_account.import_id', 'native_id', 'body', 'status', 'is_protected'])
      .where('account_import.application', '=', application.slug)
      .where('account_import.state', '=', 'done')
      .where('native_id', '=', input.nativeId)
      .orderBy('account_import.created_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (staged === undefined)
      throw new ApiProblem(404, 'not-listed', 'No import of the last day has listed this account; import first.');
    if (staged.is_protected)
      throw new ApiProblem(409, 'protected-account', 'This account is Tenure’s own and belongs to nobody.');
    const body = bodyFromJson(await deps.keys.decryptFor(trx, SYSTEM, stagedContext(staged.import_id), staged.body));
    const outcome = await linkAccount(trx, deps.keys, {
      application: application.slug,
      nativeId: staged.native_id,
      identityId: input.identityId,
      status: staged.status,
      body,
      importId: staged.import_id,
      by: ['person'],
      actor: input.caller.name,
      now: deps.now(),
    });
    if (outcome !== 'linked' && outcome !== 'already-linked')
      throw new ApiProblem(409, outcome, LINK_PROBLEMS[outcome]);
    await trx
      .updateTable('staged_account')
      .set({ result: 'linked', code: null, identity_ids: [input.identityId] })
      .where('import_id', '=', staged.import_id)
      .where('native_id', '=', staged.native_id)
      .execute();
    return { application: slug, nativeId: input.nativeId, identityId: input.identityId, outcome };
  });
}

const UNLINK_PROBLEMS: Readonly<Record<Exclude<UnlinkOutcome, 'unlinked'>, readonly [number, string]>> = {
  'not-linked': [404, 'This account is linked to nobody.'],
  'in-use': [409, 'A process is at work with this account; wait for its end.'],
  'made-by-tenure': [409, 'Tenure made this account for its person; there is no wrong link to undo.'],
};

export async function unlinkOne(
  deps: ApiDeps,
  slug: string,
  input: { readonly nativeId: string; readonly reason?: string | undefined; readonly caller: Caller },
): Promise<object> {
  const application = await applicationNamed(deps, slug);
  return deps.db.transaction().execute(async (trx) => {
    const { caller, ...which } = input;
    const found = await unlinkAccount(trx, deps.keys, {
      ...which,
      actor: caller.name,
      application: application.slug,
      now: deps.now(),
    });
    // Nobody takes an account of their own out of Tenure's sight: what was written is rolled back.
    if (found.identityId !== undefined) refuseOwnCase(caller, found.identityId);
    if (found.outcome !== 'unlinked') {
      const [status, title] = UNLINK_PROBLEMS[found.outcome];
      throw new ApiProblem(status, found.outcome, title);
    }
    await trx
      .updateTable('staged_account')
      .set({ result: 'orphan', code: 'unlinked', identity_ids: [] })
      .where('native_id', '=', input.nativeId)
      .where('import_id', 'in', (query) =>
        query.selectFrom('account_import').select('import_id').where('application', '=', application.slug),
      )
      .execute();
    return { application: slug, nativeId: input.nativeId, identityId: found.identityId, outcome: 'unlinked' };
  });
}

function minus(instant: Instant, ms: number): Instant {
  return brand<Instant>(new Date(Date.parse(instant) - ms).toISOString());
}
