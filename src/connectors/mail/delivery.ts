import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import type { AccountRef, DeliveryProof, Forwarding, OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import { timeLimit } from '../shared/time-limit.js';
import type { MailContext } from './context.js';
import { requireMailbox } from './context.js';

const operation = 'proveDelivery';
const road = 'smtp:message+doveadm:search';

/**
 * One look for the message with this step's token: at the delegate (or in the mailbox itself), for the auto-reply at the
 * sender. When the message is nowhere yet, it is sent; the caller asks again later. The token comes from the idempotency
 * key and is the Message-ID, so a message sent twice is still one: servers drop the second, and it is counted once.
 */
export async function proveDelivery(
  mail: MailContext,
  smtp: NonNullable<MailContext['smtp']>,
  ref: AccountRef,
  forwarding: Forwarding,
  ctx: OperationContext,
): Promise<DeliveryProof> {
  await requireMailbox(mail, ref, operation, ctx);
  const token = createHash('sha256').update(`${ctx.idempotencyKey} ${ref.nativeId}`).digest('hex').slice(0, 32);
  const [local = '', domain = ''] = smtp.sender.toLowerCase().split('@');
  const messageId = `<tenure.${token}@${domain}>`;
  const { doveadm } = mail;
  const wantsReply = forwarding.autoReply !== undefined;
  const arrived = await doveadm.countByHeader(
    (forwarding.to ?? ref.nativeId).toLowerCase(),
    'message-id',
    messageId,
    ctx,
  );
  const replies = wantsReply
    ? await doveadm.countByHeader(smtp.sender.toLowerCase(), 'in-reply-to', messageId, ctx)
    : undefined;
  const replied = replies === undefined ? undefined : replies > 0;
  // The sender's own copy says that the message left, when the delegate's mailbox has not got it yet.
  const left = (arrived ?? 0) > 0 || replied === true || (await wasSent(mail, smtp.sender, messageId, ctx));
  if (!left) {
    // A reply comes once a day for each sender: the detail of the address makes every token another one (RFC 5233).
    await send(
      smtp,
      { from: `${local}+${token}@${domain}`, to: ref.nativeId, copy: smtp.sender, messageId },
      ctx,
      mail.config.requestTimeoutMs,
    );
  }
  return { delivered: arrived === undefined ? undefined : arrived > 0, replied, road };
}

async function wasSent(mail: MailContext, sender: string, messageId: string, ctx: OperationContext): Promise<boolean> {
  const copies = await mail.doveadm.countByHeader(sender.toLowerCase(), 'message-id', messageId, ctx);
  return (copies ?? 0) > 0;
}

interface Message {
  readonly from: string;
  readonly to: string;
  readonly copy: string;
  readonly messageId: string;
}

async function send(
  smtp: NonNullable<MailContext['smtp']>,
  { from, to, copy, messageId }: Message,
  ctx: OperationContext,
  timeoutMs: number,
): Promise<void> {
  await ctx.sentMarker?.();
  const limit = timeLimit(ctx, operation, timeoutMs);
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.mode === 'tls',
    requireTLS: smtp.mode === 'starttls',
    ignoreTLS: smtp.mode === 'none',
    connectionTimeout: limit.remainingMs,
    greetingTimeout: limit.remainingMs,
    socketTimeout: limit.remainingMs,
    ...(smtp.ca === undefined ? {} : { tls: { ca: smtp.ca } }),
  });
  const onAbort = (): void => transport.close();
  limit.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const { rejected } = await transport.sendMail({
      envelope: { from, to: [to, copy] },
      from,
      to,
      messageId,
      subject: 'Test of a forwarding',
      text: 'This message proves that mail arrives where it should. Nobody has to answer it.',
    });
    // The sender's copy was taken, so nothing was thrown although the mailbox itself was refused.
    if (rejected.length > 0)
      throw new ConnectorError({ code: 'INVALID', operation, sent: true, targetCode: 'smtp-refused' });
  } catch (error) {
    throw isConnectorError(error) ? error : refused(error);
  } finally {
    limit.signal.removeEventListener('abort', onAbort);
    transport.close();
    limit.end();
  }
}

function refused(error: unknown): ConnectorError {
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const status = typeof fields['responseCode'] === 'number' ? fields['responseCode'] : undefined;
  if (status !== undefined) {
    const code = status >= 500 ? 'INVALID' : 'UNAVAILABLE';
    return new ConnectorError({ code, operation, sent: false, targetCode: `smtp-${status}` });
  }
  const isDown = fields['code'] === 'ESOCKET' || fields['code'] === 'ECONNECTION' || fields['code'] === 'EDNS';
  return new ConnectorError({
    code: isDown ? 'UNAVAILABLE' : 'AMBIGUOUS',
    operation,
    sent: !isDown,
    targetCode: 'smtp-lost',
  });
}
