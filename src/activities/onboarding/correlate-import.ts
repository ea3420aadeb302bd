import { sql } from 'kysely';
import type { Queryable } from '../../db/database.js';
import { correlate } from '../../domain/correlation/correlate.js';
import type { KeyValues } from '../../domain/correlation/correlate.js';
import { mappingContext } from '../../domain/plan/context.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import { keyScope, keysOf } from '../../onboarding/staged.js';
import { loadNames } from '../../planning/names.js';
import { loadPerson } from '../../planning/person.js';
import type { ActivityDeps } from '../deps.js';
import { advanceImport, loadImport } from './import-run.js';
import type { ImportRef, ImportRun } from './import-run.js';
import { stageKeys } from './stage-accounts.js';

const PEOPLE = 200;
const ACCOUNTS = 500;
/** More people than this behind one value are nobody's proof: a person looks. */
const MOST_CANDIDATES = 20;

interface StageBeat {
  readonly signal: AbortSignal;
  heartbeat(detail: { readonly done: number; readonly of: number }): void;
}

/**
 * Decides for every staged account to whom it belongs: the keys of all people are staged as blind indexes, candidates come from one join per page, and the pure
 * `correlate` decides. Each page is one transaction that also notes how far it came, so a new try goes on there; memory holds one page.
 */
export async function correlateImport(deps: ActivityDeps, ref: ImportRef, beat: StageBeat): Promise<void> {
  let done = 0;
  for (;;) {
    beat.signal.throwIfAborted();
    const run = await loadImport(deps, ref);
    if (run.row.stage !== 'keys' && run.row.stage !== 'correlating') return;
    beat.heartbeat({ done, of: run.row.accounts });
    if (run.row.stage === 'keys') await deps.db.transaction().execute((trx) => keyPeople(deps, trx, run, ref));
    else done += await deps.db.transaction().execute((trx) => decidePage(deps, trx, run, ref));
  }
}

async function keyPeople(deps: ActivityDeps, trx: Queryable, run: ImportRun, ref: ImportRef): Promise<void> {
  const people = await trx
    .selectFrom('identity')
    .innerJoin('identity_key', (join) =>
      join
        .onRef('identity_key.identity_id', '=', sql<string>`identity.identity_id` as never)
        .on('identity_key.destroyed_at', 'is', null),
    )
    .select('identity.identity_id')
    .$if(run.row.after_key !== null, (query) =>
      query.where('identity.identity_id', '>', run.row.after_key as IdentityId),
    )
    .orderBy('identity.identity_id')
    .limit(PEOPLE)
    .execute();
  const rows = [];
  for (const { identity_id: id } of people)
    for (const [key, text] of await keysOfPerson(deps, trx, run, id, ref.now))
      rows.push({
        import_id: run.row.import_id,
        side: 'identity' as const,
        owner: id as string,
        key,
        key_index: deps.keys.blindIndex(keyScope(run.row.import_id, key), text),
      });
  await stageKeys(trx, rows);
  await advanceImport(trx, ref, {
    identities: run.row.identities + people.length,
    ...(people.length < PEOPLE
      ? { stage: 'correlating' as const, after_key: null }
      : { after_key: people.at(-1)?.identity_id ?? null }),
  });
}

/** The values by which policy would have this person's account recognised; somebody who has left keeps them. */
async function keysOfPerson(
  deps: ActivityDeps,
  trx: Queryable,
  run: ImportRun,
  identityId: IdentityId,
  now: Instant,
): Promise<ReadonlyMap<string, string>> {
  const state = (await loadPerson(trx, deps.keys, identityId)).stateAt(now);
  const speaker = state.primary ?? state.employments[0];
  if (speaker === undefined) return new Map();
  const account = await loadNames(trx, identityId);
  const context = mappingContext({ identityId, state, account }, speaker, speaker);
  const attributes = run.policy.evaluate.attributes(run.application.slug, context);
  return keysOf(run.application, run.policy.evaluate.login(run.application.slug, context), attributes);
}

interface Decided {
  readonly native_id: string;
  readonly result: 'strong' | 'weak' | 'ambiguous' | 'orphan' | 'protected';
  readonly ids: readonly string[];
  readonly keys: readonly string[];
}

async function decidePage(deps: ActivityDeps, trx: Queryable, run: ImportRun, ref: ImportRef): Promise<number> {
  const importId = run.row.import_id;
  const page = await trx
    .selectFrom('staged_account')
    .select(['native_id', 'is_protected'])
    .where('import_id', '=', importId)
    .$if(run.row.after_key !== null, (query) => query.where('native_id', '>', run.row.after_key ?? ''))
    .orderBy('native_id')
    .limit(ACCOUNTS)
    .execute();
  const values = await candidateValues(
    trx,
    importId,
    page.map((row) => row.native_id),
  );
  const decided = page.map((row): Decided => {
    if (row.is_protected) return { native_id: row.native_id, result: 'protected', ids: [], keys: [] };
    const subject = values.accounts.get(row.native_id) ?? {};
    const candidates = [...(values.candidates.get(row.native_id) ?? [])].map((id) => ({
      id,
      values: values.people.get(id) ?? {},
    }));
    const found = correlate(run.application.correlation, subject, candidates);
    switch (found.result) {
      case 'linked':
        return { native_id: row.native_id, result: 'strong', ids: [found.id], keys: found.by };
      case 'proposed':
        return { native_id: row.native_id, result: 'weak', ids: found.ids, keys: found.by };
      case 'ambiguous':
        return { native_id: row.native_id, result: 'ambiguous', ids: found.ids, keys: found.by };
      case 'orphan':
        return { native_id: row.native_id, result: 'orphan', ids: [], keys: [] };
    }
  });
  if (decided.length > 0)
    await sql`update staged_account s set result = d.result,
        identity_ids = coalesce((select array_agg(x::uuid) from jsonb_array_elements_text(d.ids) x), '{}'),
        keys = coalesce((select array_agg(x) from jsonb_array_elements_text(d.keys) x), '{}')
      from jsonb_to_recordset(${JSON.stringify(decided)}::jsonb) as d(native_id text, result text, ids jsonb, keys jsonb)
      where s.import_id = ${importId} and s.native_id = d.native_id`.execute(trx);
  const isLast = page.length < ACCOUNTS;
  if (isLast) await settleWhole(trx, run);
  await advanceImport(trx, ref, {
    ...(isLast
      ? { stage: run.row.links ? ('linking' as const) : ('done' as const), after_key: null }
      : { after_key: page.at(-1)?.native_id ?? null }),
  });
  return page.length;
}

/** What only the whole shows: two accounts that claim one person, and links that stand already. One statement each. */
async function settleWhole(trx: Queryable, run: ImportRun): Promise<void> {
  const { import_id: importId, application } = run.row;
  await sql`update staged_account s set result = 'ambiguous', code = 'two-accounts'
    where s.import_id = ${importId} and s.result = 'strong' and s.identity_ids[1] in (
      select identity_ids[1] from staged_account where import_id = ${importId} and result = 'strong'
      group by identity_ids[1] having count(*) > 1)`.execute(trx);
  // The account is somebody's already.
  await sql`update staged_account s set
      result = case when s.result in ('orphan', 'weak', 'ambiguous') or a.identity_id = any(s.identity_ids) then 'linked' else 'conflict' end,
      code = case when s.result in ('orphan', 'weak', 'ambiguous') or a.identity_id = any(s.identity_ids) then null else 'linked-elsewhere' end,
      identity_ids = case when s.result = 'strong' and not a.identity_id = any(s.identity_ids)
        then array[a.identity_id] || s.identity_ids else array[a.identity_id] end
    from account a where s.import_id = ${importId} and a.application = ${application}
      and a.native_id = s.native_id and a.unlinked_at is null and s.result <> 'protected'`.execute(trx);
  // The person has another account here already.
  await sql`update staged_account s set result = 'conflict', code = 'has-other-account'
    from account a where s.import_id = ${importId} and s.result = 'strong' and a.application = ${application}
      and a.identity_id = s.identity_ids[1] and a.native_id <> s.native_id and a.unlinked_at is null`.execute(trx);
}

/** For a page of accounts: their key values, the people who share one, and the key values of those. Values are blind indexes. */
async function candidateValues(trx: Queryable, importId: string, nativeIds: readonly string[]) {
  const accounts = new Map<string, Record<string, string>>();
  const people = new Map<string, Record<string, string>>();
  const candidates = new Map<string, Set<string>>();
  if (nativeIds.length === 0) return { accounts, people, candidates };
  const pairs = await sql<{ account: string; identity: string }>`
    select k.owner as account, m.owner as identity
    from staged_key k cross join lateral (
      select owner from staged_key i where i.import_id = k.import_id and i.side = 'identity'
        and i.key = k.key and i.key_index = k.key_index limit ${MOST_CANDIDATES}) m
    where k.import_id = ${importId} and k.side = 'account' and k.owner = any(${[...nativeIds]}::text[])`.execute(trx);
  for (const { account, identity } of pairs.rows)
    candidates.set(account, (candidates.get(account) ?? new Set()).add(identity));
  const ids = [...new Set(pairs.rows.map((row) => row.identity))];
  for (const [side, owners, into] of [
    ['account', nativeIds, accounts],
    ['identity', ids, people],
  ] as const) {
    const rows = await sql<{ owner: string; key: string; key_index: Buffer }>`select owner, key, key_index
      from staged_key where import_id = ${importId} and side = ${side} and owner = any(${[...owners]}::text[])`.execute(
      trx,
    );
    for (const row of rows.rows)
      into.set(row.owner, { ...into.get(row.owner), [row.key]: row.key_index.toString('hex') } satisfies KeyValues);
  }
  return { accounts, people, candidates };
}
