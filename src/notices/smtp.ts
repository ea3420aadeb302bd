import { createTransport } from 'nodemailer';

export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  readonly tls: 'starttls' | 'tls' | 'none';
  readonly user: string | undefined;
}

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** Without angle brackets; the same for every try, so that a repeat is recognised. */
  readonly messageId: string;
}

/** Hands a mail to a server. Rejects with {@link MailError} when the server did not say that it has taken it: it may have, all the same. */
export type Mailer = (mail: Mail) => Promise<void>;

/** Why a mail was not taken, as far as known: a code without a value. `isFinal`: the server said that trying again is of no use. */
export class MailError extends Error {
  override readonly name = 'MailError';
  constructor(
    readonly code: string,
    readonly isFinal: boolean,
  ) {
    super(code);
  }
}

const TIME_LIMIT_MS = 20_000;

/** Sends by SMTP; with STARTTLS or TLS from the first byte unless the configuration says that there is none (loopback only). One connection per mail. */
export function createMailer(smtp: SmtpServer, secrets: { readonly password?: string; readonly ca?: string }): Mailer {
  return async (mail) => {
    const transport = createTransport({
      host: smtp.host,
      port: smtp.port,
      secure: smtp.tls === 'tls',
      requireTLS: smtp.tls === 'starttls',
      ignoreTLS: smtp.tls === 'none',
      connectionTimeout: TIME_LIMIT_MS,
      greetingTimeout: TIME_LIMIT_MS,
      socketTimeout: TIME_LIMIT_MS,
      ...(secrets.ca === undefined ? {} : { tls: { ca: secrets.ca } }),
      ...(smtp.user === undefined ? {} : { auth: { user: smtp.user, pass: secrets.password ?? '' } }),
    });
    const limit = setTimeout(() => {
      transport.close();
    }, TIME_LIMIT_MS);
    try {
      await transport.sendMail({
        from: smtp.from,
        to: mail.to,
        subject: mail.subject,
        text: mail.text,
        messageId: `<${mail.messageId}@${smtp.from.split('@')[1] ?? smtp.host}>`,
        headers: { 'Auto-Submitted': 'auto-generated' },
      });
    } catch (error) {
      throw refusal(error);
    } finally {
      clearTimeout(limit);
      transport.close();
    }
  };
}

/** Answers about the sender's own sign-in: an operator puts them right, and then the same mail is taken. */
const SIGN_IN = new Set([530, 534, 535, 538]);

/** The server's text may hold an address: only its number, or the name of the library's code, is kept. */
function refusal(error: unknown): MailError {
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const { responseCode: status, code } = fields;
  if (typeof status === 'number') return new MailError(`smtp-${status}`, status >= 500 && !SIGN_IN.has(status));
  const name = typeof code === 'string' && /^E[A-Z]{2,20}$/.test(code) ? code.slice(1).toLowerCase() : 'lost';
  return new MailError(`smtp-${name}`, false);
}
