import { sql } from 'kysely';
import { z } from 'zod';
import { loadPerson } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);

/** A page of people by display name; every word of the query must occur in name, employee number, user name or mail address. */
export async function listIdentities(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>,
  input: { readonly query?: string | undefined; readonly after?: string | undefined; readonly limit: number },
): Promise<Page<object>> {
  const { db, keys } = deps;
  const cursor = decodeCursor(input.after, cursorSchema);
  const words = (input.query ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, 8);
  let query = db
    .selectFrom('identity_profile')
    .select(['identity_id', 'display_name', 'user_name', 'mail', 'department', 'title']);
  for (const word of words)
    query = query.where(
      // strpos and not like: a query is text, never a pattern.
      sql<boolean>`strpos(concat_ws(' ', search, lower(user_name), lower(mail)), ${word}) > 0`,
    );
  if (cursor !== undefined)
    query = query.where(sql<boolean>`(display_name, identity_id) > (${cursor[0]}, ${cursor[1]}::uuid)`);
  const rows = await query
    .orderBy('display_name')
    .orderBy('identity_id')
    .limit(input.limit + 1)
    .execute();
  const now = deps.now();
  // The row's own lifecycle is as of the last event; a date that has come since then counts here.
  const states = await Promise.all(
    rows.map(async (row) => (await loadPerson(db, keys, row.identity_id)).stateAt(now).lifecycle),
  );
  const lifecycleOf = new Map(rows.map((row, index) => [row.identity_id, states[index] ?? 'none']));
  return pageOf(
    rows,
    input.limit,
    (row) => [row.display_name, row.identity_id],
    (row) => ({
      identityId: row.identity_id,
      displayName: row.display_name,
      userName: row.user_name,
      mail: row.mail,
      department: row.department,
      title: row.title,
      lifecycle: lifecycleOf.get(row.identity_id) ?? 'none',
    }),
  );
}
