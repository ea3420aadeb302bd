import type { ExpectedState, OperationContext, Verification } from '../connector.js';
import { compareState } from '../shared/compare.js';
import type { SqlContext } from './context.js';
import { truthOf } from '../shared/sql/dialect.js';
import { rolesOf } from './entitlements.js';
import { rowByKey } from './rows.js';
import { observeRow } from './statements.js';
import { requireAccount } from '../shared/object-class.js';

/**
 * Reads on a connection that never writes: the row, the server's own catalogue for the log-in, and roles from the role
 * table. A flag and a log-in that disagree are a mismatch, whatever was expected.
 */
export async function verify(sql: SqlContext, expected: ExpectedState, ctx: OperationContext): Promise<Verification> {
  requireAccount(expected.ref.objectClass, 'verify');
  return sql.database.verifying('verify', ctx, async (session) => {
    const row = await rowByKey(sql, session, expected.ref, sql.statements.byKey);
    const road = 'sql:second-connection+catalogue';
    if (row === undefined) {
      return compareState(expected, undefined, road);
    }
    const entitlements = await rolesOf(sql, session, expected.ref.nativeId);
    const seen = { ...observeRow(sql.application, sql.config, row), entitlements };
    const result = compareState(expected, seen, road);
    const halves =
      sql.config.logins === undefined ? {} : { flag: truthOf(row['flag']), canLogin: truthOf(row['can_login']) };
    if (expected.status === undefined || !expected.exists || seen.status !== 'unknown') {
      return { ...result, seen: { ...result.seen, ...halves } };
    }
    return {
      ...result,
      verdict: expected.settling === true ? 'pending' : 'mismatch',
      mismatches: [{ what: 'status' }, ...result.mismatches],
      seen: { ...result.seen, ...halves },
    };
  });
}
