import { z } from 'zod';
import { quirksSchema } from './quirks.js';
import { clientCredentials } from '../shared/http/oauth-config.js';
import { httpTls, secretReference, serverPath, urlOrReference } from '../shared/http/config.js';

const answer = z.strictObject({
  status: z.int().min(100).max(599),
  /** The error id in the answer's body; absent = any body. */
  error: z.string().optional(),
  answer: z.enum(['accepted', 'disabled', 'wrong-secret', 'locked']),
});

const signIn = z.strictObject({
  path: serverPath,
  loginField: z.string().default('userName'),
  secretField: z.string().default('password'),
  errorField: z.string().default('error'),
  /** The first row that fits decides; nothing fits = unknown. */
  answers: z
    .array(answer)
    .min(1)
    .default([
      { status: 200, answer: 'accepted' },
      { status: 401, error: 'disabled', answer: 'disabled' },
      { status: 401, error: 'locked', answer: 'locked' },
      { status: 401, error: 'bad-credentials', answer: 'wrong-secret' },
    ]),
  tokenField: z.string().default('token'),
  /** Called (POST, bearer of the new session) after an accepted probe, so that it leaves no session behind. */
  signOutPath: serverPath.optional(),
});

const shape = z.strictObject({
  /** The SCIM base, for instance `https://host/scim/v2`, or a reference to it. */
  baseUrl: urlOrReference,
  /** Bearer token, by reference; or `auth`. */
  token: secretReference.optional(),
  /** Tokens that end, from a token endpoint. */
  auth: clientCredentials.optional(),
  tls: httpTls.optional(),
  /** auto = PATCH when the server announces it, else PUT. */
  write: z.enum(['auto', 'patch', 'put']).default('auto'),
  /** auto = cursors when the server announces them (RFC 9865), else startIndex. */
  paging: z.enum(['auto', 'index', 'cursor']).default('auto'),
  /** auto = several writes of one operation go as one Bulk request (RFC 7644, 3.7) when the server announces it. */
  bulk: z.enum(['auto', 'never']).default('auto'),
  /** with-memberships = `delete` first takes the account out of its groups: for servers that keep members who are gone. */
  delete: z.enum(['account', 'with-memberships']).default('account'),
  quirks: quirksSchema.optional(),
  requestTimeoutMs: z.int().positive().default(10_000),
  consistencyWindowMs: z.int().nonnegative().default(0),
  /** Whether the server has Groups that carry entitlements. */
  groups: z.boolean().default(true),
  /** How a secret is set: the SCIM `password` attribute (one PATCH can then seal), a path of its own, or not at all. */
  secret: z.union([z.literal('none'), z.literal('attribute'), z.strictObject({ path: serverPath })]).default('none'),
  signIn: signIn.optional(),
  /** GET answers `{ "count": n }`, DELETE ends all sessions of the account. */
  sessions: z.strictObject({ path: serverPath }).optional(),
  /** What archive means here: attributes to set. */
  archive: z.record(z.string(), z.union([z.string(), z.boolean(), z.null()])).optional(),
});

export const scimConfigSchema = shape.superRefine(({ token, auth }, issues) => {
  if ((token === undefined) === (auth === undefined))
    issues.addIssue({ code: 'custom', path: ['token'], message: 'is needed, or auth in its place' });
});

export type ScimConfig = z.infer<typeof scimConfigSchema>;
