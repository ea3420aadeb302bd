import type { AccountRef, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { MailConfig } from './config.js';
import type { Doveadm } from './doveadm.js';
import type { LineServer } from './lines.js';
import type { SieveServer } from './managesieve.js';
import { requireAccount } from '../shared/object-class.js';

/** Everything the operations of one application share. */
export interface MailContext {
  readonly application: string;
  readonly config: MailConfig;
  readonly doveadm: Doveadm;
  readonly sieve: SieveServer | undefined;
  readonly imap: LineServer | undefined;
  readonly smtp: (LineServer & { readonly sender: string }) | undefined;
}

/** Raises NOT_FOUND when Dovecot's user databases do not know the mailbox. */
export async function requireMailbox(
  mail: MailContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  requireAccount(ref.objectClass, operation);
  if (!(await mail.doveadm.hasUser(ref.nativeId, operation, ctx))) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
}
