import { z } from 'zod';
import { referenceTo } from './config-vault.js';

/** The mail server that notices are handed to; secrets are references, `env:NAME` or `file:PATH`. */
export interface SmtpConfig {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  /** starttls: refused unless the server offers it; none: on loopback only. */
  readonly tls: 'starttls' | 'tls' | 'none';
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Certificate authority of a server that the system's own do not know. */
  readonly ca: string | undefined;
}

const PORTS = { starttls: '587', tls: '465', none: '25' } as const;

/** The variables of the mail server. */
export const smtpVariables = {
  TENURE_SMTP_HOST: z.string().optional(),
  TENURE_SMTP_PORT: z
    .string()
    .regex(/^[1-9]\d{0,4}$/, 'must be a port number')
    .optional(),
  TENURE_SMTP_FROM: z
    .string()
    .regex(/^[^\s@<>]+@[^\s@<>]+$/, 'must be a mail address')
    .optional(),
  TENURE_SMTP_TLS: z.enum(['starttls', 'tls', 'none'], { error: 'must be starttls, tls or none' }).default('starttls'),
  TENURE_SMTP_USER: z.string().optional(),
  TENURE_SMTP_PASSWORD: referenceTo('the password'),
  TENURE_SMTP_CA: referenceTo('the certificate'),
};
type SmtpVariables = z.infer<z.ZodObject<typeof smtpVariables>>;

/**
 * Puts the variables together; undefined without a host. `absolute` makes a file reference independent of the working directory.
 * @returns a sentence where they do not fit together.
 */
export function smtpConfig(
  vars: SmtpVariables,
  absolute: (reference: string) => string,
): SmtpConfig | undefined | string {
  const { TENURE_SMTP_HOST: host, TENURE_SMTP_FROM: from, TENURE_SMTP_USER: user } = vars;
  const { TENURE_SMTP_PASSWORD: password, TENURE_SMTP_CA: ca, TENURE_SMTP_TLS: tls } = vars;
  if (host === undefined) {
    const isAsked = [from, user, password, ca, vars.TENURE_SMTP_PORT].some((one) => one !== undefined);
    return isAsked ? 'TENURE_SMTP_HOST is not set, but something else of the mail server is.' : undefined;
  }
  if (from === undefined) return 'TENURE_SMTP_FROM is not set: it must be the address that notices come from.';
  if ((user === undefined) !== (password === undefined))
    return 'TENURE_SMTP_USER and TENURE_SMTP_PASSWORD are set together or not at all.';
  if (tls === 'none' && !/^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host))
    return 'TENURE_SMTP_TLS can be none on loopback alone.';
  const port = Number(vars.TENURE_SMTP_PORT ?? PORTS[tls]);
  const secret = (reference: string | undefined) => (reference === undefined ? undefined : absolute(reference));
  return { host, port, from, tls, user, password: secret(password), ca: secret(ca) };
}
