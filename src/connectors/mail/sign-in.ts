import type { OperationContext, SignInAnswer } from '../connector.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { LineServer } from './lines.js';
import { LineConnection } from './lines.js';

const road = 'imap:sign-in';

/**
 * One real IMAP log-in (RFC 9051, AUTHENTICATE PLAIN) on a connection of its own, ended by LOGOUT. Dovecot checks the
 * password before it looks at a closing: CONTACTADMIN (RFC 5530) with our own words means that the secret was right and
 * the mailbox closed. Anything that is not understood is `unknown`.
 */
export async function probeSignIn(
  server: LineServer,
  reason: string | undefined,
  login: string,
  secret: Secret,
  ctx: OperationContext,
  timeoutMs: number,
): Promise<SignInAnswer> {
  const limit = timeLimit(ctx, 'probeSignIn', timeoutMs);
  const connection = LineConnection.open(server, limit.signal);
  try {
    const greeting = await connection.line();
    if (!greeting.startsWith('* OK')) return { answer: 'unknown', code: 'imap-greeting', road };
    if (connection.mustUpgrade) {
      if (!(await tagged(connection, 'a1', 'STARTTLS')).startsWith('OK')) {
        return { answer: 'unknown', code: 'imap-no-starttls', road };
      }
      await connection.upgrade();
    }
    const plain = Buffer.from(`\0${login}\0${secret.reveal()}`).toString('base64');
    await connection.write('a2 AUTHENTICATE PLAIN\r\n');
    for (let line = await connection.line(); !line.startsWith('+'); line = await connection.line()) {
      if (line.startsWith('a2 ')) return { answer: 'unknown', code: 'imap-no-plain', road };
    }
    const said = await tagged(connection, 'a2', plain, false);
    if (said.startsWith('OK')) await tagged(connection, 'a3', 'LOGOUT').catch(() => undefined);
    return { ...meaningOf(said, reason), road };
  } catch {
    return { answer: 'unknown', code: limit.signal.aborted ? 'imap-timeout' : 'imap-lost', road };
  } finally {
    connection.close();
    limit.end();
  }
}

/** Sends a command and gives the rest of the line that ends its answer. */
async function tagged(connection: LineConnection, tag: string, text: string, isCommand = true): Promise<string> {
  await connection.write(isCommand ? `${tag} ${text}\r\n` : `${text}\r\n`);
  for (;;) {
    const line = await connection.line();
    if (line.startsWith(`${tag} `)) return line.slice(tag.length + 1);
  }
}

function meaningOf(said: string, reason: string | undefined): Pick<SignInAnswer, 'answer' | 'code'> {
  const [, status = '', code = '', text = ''] = /^(OK|NO|BAD)(?: \[([A-Z-]+)[^\]]*\])?(.*)$/.exec(said) ?? [];
  const named = code === '' ? `imap-${status.toLowerCase()}` : `imap-${status.toLowerCase()} ${code}`;
  if (status === 'OK') return { answer: 'accepted', code: 'imap-ok' };
  if (code === 'CONTACTADMIN' && reason !== undefined && text.trim() === reason)
    return { answer: 'disabled', code: named };
  // With the wrong password Dovecot says the same words of a closed mailbox, as an ALERT.
  if (code === 'AUTHENTICATIONFAILED') return { answer: 'wrong-secret', code: named };
  if (code === 'ALERT' && reason !== undefined && text.trim() === reason)
    return { answer: 'wrong-secret', code: named };
  return { answer: 'unknown', code: named };
}
