import { z } from 'zod';
import { secretReference } from '../shared/http/config.js';
import { clientCredentials, refreshTokenGrant } from '../shared/http/oauth-config.js';
import { expression } from './config-parts.js';

const header = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a header name');

/** How Tenure itself is known to the target. Mutual TLS is `tls.clientCertificate`, with or beside one of these. */
export const auth = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({
    type: z.literal('bearer'),
    token: secretReference,
    scheme: z
      .string()
      .regex(/^[\w-]+$/)
      .default('Bearer'),
  }),
  z.strictObject({ type: z.literal('basic'), username: z.string().min(1), password: secretReference }),
  z.strictObject({ type: z.literal('apiKey'), in: z.enum(['header', 'query']), name: header, key: secretReference }),
  clientCredentials,
  refreshTokenGrant,
  /** A signature over each request. */
  z.strictObject({
    type: z.literal('hmac'),
    algorithm: z.enum(['sha256', 'sha384', 'sha512', 'sha1']).default('sha256'),
    encoding: z.enum(['hex', 'base64']).default('hex'),
    keyId: z.string().default(''),
    key: secretReference,
    /** The text that is signed. */
    canonical: expression('signature', 'text'),
    /** The headers that carry the signature and what else was signed. */
    headers: z.record(header, expression('signed', 'text')),
  }),
]);

export type Auth = z.infer<typeof auth>;
