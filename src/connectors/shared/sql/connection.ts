import { z } from 'zod';
import { isSecretReference } from '../../secret.js';
import type { DialectName } from './dialect.js';

export const reference = z.string().refine(isSecretReference, 'must be a reference, env:NAME or file:PATH');

/** The allow-list: only names of this form, and only those written in the configuration, ever become identifiers. */
export const identifier = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a plain lower-case SQL identifier');

/** How a database is reached: the same fields for every connector that has one. */
export const connectionShape = {
  /** The service role's connection URL; it holds a password, so by reference only. */
  url: reference,
  /** Without it: TLS with the system's authorities, and in the clear on loopback alone. */
  tls: z
    .strictObject({
      mode: z.enum(['auto', 'none']).default('auto'),
      /** PEM of the certificate authority; when given, no other is trusted. */
      ca: reference.optional(),
      clientCertificate: z.strictObject({ cert: reference, key: reference }).optional(),
    })
    .prefault({}),
};

export type SqlConnectionConfig = z.infer<z.ZodObject<typeof connectionShape>> & { readonly dialect: DialectName };
