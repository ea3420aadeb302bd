import type { AccountRef } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import { truthOf } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';
import { exactly } from './reads.js';
import { lockLogin, requireLogin, updateRow, writeLogin } from './rows.js';

/**
 * Renames the row's login and its log-in. Where log-ins are outside transactions, the log-in is closed while it has
 * another name than its row: lock, rename, row, unlock. An interruption leaves it locked; the same update finishes the
 * names, and `enable` opens what is locked with its names right (an update alone never opens: it cannot know a cut from
 * an interrupted rename).
 */
export async function renameAccount(
  sql: SqlContext,
  session: Session,
  ref: AccountRef,
  row: Row,
  to: string,
  cells: readonly (readonly [string, unknown])[],
): Promise<void> {
  const { logins, config } = sql;
  const withLogin = [[config.accounts.login, to] as const, ...cells];
  const from = requireLogin(sql, String(row['login']), 'update');
  const hasLogin = truthOf(row['has_login']) === true;
  if (logins === undefined || logins.dialect.transactional) {
    await updateRow(sql, session, ref, withLogin);
    if (logins !== undefined && hasLogin) {
      await session.write(logins.dialect.rename(from, to, logins.settings));
    }
    return;
  }
  const { dialect, settings } = logins;
  await lockLogin(sql, session, to, 'update');
  await refuseTaken(sql, session, to, hasLogin);
  const opens = hasLogin && truthOf(row['can_login']) === true;
  if (hasLogin) {
    await (opens ? writeLogin(sql, session, dialect.alter(from, { enabled: false }, settings)) : undefined);
    await writeLogin(sql, session, dialect.rename(from, to, settings));
  }
  await updateRow(sql, session, ref, withLogin);
  await (opens ? writeLogin(sql, session, dialect.alter(to, { enabled: true }, settings)) : undefined);
}

/** A login that another row or log-in has is refused before anything is written for good. */
async function refuseTaken(sql: SqlContext, session: Session, to: string, hasLogin: boolean): Promise<void> {
  const rows = await session.read(sql.statements.by('login') ?? '', [to]);
  const [there] =
    sql.logins === undefined ? [] : await session.read(sql.logins.dialect.exists(sql.logins.settings), [to]);
  // Without a log-in under the old name, the one under the new name is what an interrupted rename left.
  const foreign = hasLogin && truthOf(there?.['has_login']) !== false;
  if (foreign || exactly(sql, rows, { attribute: 'login', value: to }).length > 0) {
    throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'update', sent: false, attribute: 'login' });
  }
}
