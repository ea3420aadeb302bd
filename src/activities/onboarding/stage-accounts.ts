import { sql } from 'kysely';
import type { ObservedAccount, Page } from '../../connectors/connector.js';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import { bodyAsJson, keyScope, keysOf, stagedBody, stagedContext } from '../../onboarding/staged.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';
import { readingContext, withConnector } from '../open-connector.js';
import { advanceImport, loadImport } from './import-run.js';
import type { ImportRef, ImportRun } from './import-run.js';

const CALL_TIMEOUT_MS = 60_000;

interface StageBeat {
  readonly signal: AbortSignal;
  heartbeat(detail: { readonly done: number; readonly of: number }): void;
}

/**
 * Lists the target page by page into the staging table. A page and the cursor behind it are one transaction, so a new try goes on where the last one stopped and
 * stages nothing twice; memory holds one page. Read-only at the target. Raises the connector's failure.
 */
export async function stageAccounts(
  deps: ActivityDeps,
  ref: ImportRef,
  beat: StageBeat,
): Promise<{ readonly accounts: number }> {
  for (;;) {
    beat.signal.throwIfAborted();
    const run = await loadImport(deps, ref);
    if (run.row.stage !== 'listing') return { accounts: run.row.accounts };
    beat.heartbeat({ done: run.row.accounts, of: run.row.pages });
    const page = await readPage(deps, run, beat.signal);
    await deps.db.transaction().execute((trx) => stagePage(deps, trx, run, ref, page));
  }
}

async function readPage(deps: ActivityDeps, run: ImportRun, signal: AbortSignal): Promise<Page<ObservedAccount>> {
  const { row } = run;
  const cursor =
    row.cursor === null
      ? undefined
      : await deps.keys.decryptFor(deps.db, SYSTEM, stagedContext(row.import_id), row.cursor);
  const page = await withConnector(deps, { ...run, signal }, (connector) =>
    connector.list(
      { objectClass: 'account', pageSize: row.page_size, cursor: typeof cursor === 'string' ? cursor : undefined },
      readingContext(deps, { key: `import/${row.import_id}/${row.pages}`, signal, timeoutMs: CALL_TIMEOUT_MS }),
    ),
  );
  // A list that stands still would be read for ever.
  if (page.next !== undefined && page.next === cursor) throw new TenureError('PolicyViolation', 'cursor-stands-still');
  return page;
}

async function stagePage(
  deps: ActivityDeps,
  trx: Queryable,
  run: ImportRun,
  ref: ImportRef,
  page: Page<ObservedAccount>,
): Promise<void> {
  const { keys } = deps;
  const importId = run.row.import_id;
  const canary = await trx
    .selectFrom('canary')
    .select(['login', 'native_id'])
    .where('application', '=', run.application.slug)
    .executeTakeFirst();
  const protectedLogins = new Set([run.application.canaryLogin, canary?.login].map((login) => login?.toLowerCase()));
  const bodies = page.items.map((account) => stagedBody(run.application, account));
  const sealed: Buffer[] = [];
  for (const body of bodies) sealed.push(await keys.encryptFor(trx, SYSTEM, stagedContext(importId), bodyAsJson(body)));
  const rows = page.items.map((account, index) => ({
    import_id: importId,
    native_id: account.ref.nativeId,
    body: sealed[index] ?? Buffer.alloc(0),
    status: account.status,
    is_protected: protectedLogins.has(account.login.toLowerCase()) || account.ref.nativeId === canary?.native_id,
    result: null,
    code: null,
  }));
  const indexes = page.items.flatMap((account) =>
    [...keysOf(run.application, account.login, account.attributes)].map(([key, text]) => ({
      import_id: importId,
      side: 'account' as const,
      owner: account.ref.nativeId,
      key,
      key_index: keys.blindIndex(keyScope(importId, key), text),
    })),
  );
  // An account that moved between two pages while they were read comes twice; the later read counts.
  const distinct = [...new Map(rows.map((row) => [row.native_id, row])).values()];
  let added = 0;
  if (distinct.length > 0) {
    const written = await trx
      .insertInto('staged_account')
      .values(distinct)
      .onConflict((conflict) =>
        conflict.columns(['import_id', 'native_id']).doUpdateSet((eb) => ({
          body: eb.ref('excluded.body'),
          status: eb.ref('excluded.status'),
        })),
      )
      .returning(sql<boolean>`xmax = 0`.as('is_new'))
      .execute();
    added = written.filter((row) => row.is_new).length;
  }
  await stageKeys(trx, indexes);
  const isLast = page.next === undefined;
  await advanceImport(trx, ref, {
    cursor: isLast ? null : await keys.encryptFor(trx, SYSTEM, stagedContext(importId), page.next),
    pages: run.row.pages + 1,
    accounts: run.row.accounts + added,
    ...(isLast ? { stage: 'keys' as const, is_complete: page.complete } : {}),
  });
}

/** Writes blind indexes; of two of one owner and key the later counts. */
export async function stageKeys(
  trx: Queryable,
  rows: readonly {
    readonly import_id: string;
    readonly side: 'account' | 'identity';
    readonly owner: string;
    readonly key: string;
    readonly key_index: Buffer;
  }[],
): Promise<void> {
  const distinct = [...new Map(rows.map((row) => [`${row.owner}\0${row.key}`, row])).values()];
  const CHUNK = 2_000;
  for (let start = 0; start < distinct.length; start += CHUNK)
    await trx
      .insertInto('staged_key')
      .values(distinct.slice(start, start + CHUNK))
      .onConflict((conflict) =>
        conflict
          .columns(['import_id', 'side', 'owner', 'key'])
          .doUpdateSet((eb) => ({ key_index: eb.ref('excluded.key_index') })),
      )
      .execute();
}
