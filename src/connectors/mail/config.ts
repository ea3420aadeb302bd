import { z } from 'zod';
import { httpTls, secretReference, urlOrReference } from '../shared/http/config.js';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** A server that is spoken to line by line. */
const lineServer = {
  host: z.string().regex(/^[A-Za-z0-9.:-]{1,255}$/, 'must be a host name or an address'),
  port: z.int().min(1).max(65_535),
  /** tls = encrypted from the first byte. `none` is for a server on this machine alone. */
  mode: z.enum(['starttls', 'tls', 'none']).default('starttls'),
  /** PEM of the certificate authority; when given, no other is trusted. */
  ca: secretReference.optional(),
};
const isEncrypted = ({ mode, host }: { readonly mode: string; readonly host: string }): boolean =>
  mode !== 'none' || LOOPBACK.test(host);
const unencrypted = { path: ['mode'], message: 'only a server on this machine may be spoken to unencrypted' };

export const mailConfigSchema = z.strictObject({
  /** doveadm's HTTP API: who there is, who is logged in, and the dictionary of closed mailboxes. */
  doveadm: z.strictObject({ url: urlOrReference, key: secretReference, tls: httpTls.optional() }),
  /** ManageSieve (RFC 5804) as a master user, who acts for each mailbox by authorization id. */
  sieve: z
    .strictObject({ ...lineServer, masterUser: z.string().min(1), masterPassword: secretReference })
    .refine(isEncrypted, unencrypted)
    .optional(),
  /** Where a sign-in is tried. */
  imap: z.strictObject(lineServer).refine(isEncrypted, unencrypted).optional(),
  /** A dictionary that Dovecot asks before each log-in; absent: this connector cannot close a mailbox. */
  closing: z
    .strictObject({
      dict: z.string().regex(/^[a-z-]+:\S+$/, 'must be a dictionary URI of Dovecot'),
      /** What becomes of mail to a closed mailbox. */
      mail: z.enum(['deliver', 'refuse']).default('deliver'),
      /** What the server says to somebody with the right password; the probe knows a closed mailbox by it. */
      reason: z
        .string()
        .regex(/^[\w .,-]{5,100}$/, 'must be plain words')
        .default('This mailbox is closed'),
    })
    .optional(),
  /** How a delivery is proven: by a message from Tenure's own mailbox of the same server. */
  proof: z
    .strictObject({ ...lineServer, sender: z.email() })
    .refine(isEncrypted, unencrypted)
    .optional(),
  requestTimeoutMs: z.int().positive().default(10_000),
  consistencyWindowMs: z.int().nonnegative().default(0),
});

export type MailConfig = z.infer<typeof mailConfigSchema>;
