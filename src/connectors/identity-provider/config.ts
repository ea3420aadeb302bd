import { z } from 'zod';
import { httpTls, secretReference, urlOrReference } from '../shared/http/config.js';

const attributeName = z.string().regex(/^[A-Za-z][\w.-]{0,254}$/, 'must be the name of an attribute');
const groupPath = z.string().regex(/^(\/[^/]+)+$/, 'must be the path of a group, for instance /staff/it');

const attributeMapping = z
  .union([
    attributeName,
    z.strictObject({
      attribute: attributeName,
      type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
      required: z.boolean().default(false),
    }),
  ])
  .transform((given) =>
    typeof given === 'string' ? { attribute: given, type: 'string' as const, required: false } : given,
  );

export const identityProviderConfigSchema = z.strictObject({
  product: z.literal('keycloak'),
  /** Of the server, without `/realms` and `/admin`. */
  baseUrl: urlOrReference,
  realm: z.string().regex(/^[^\s/?#%]+$/, 'must be the name of a realm'),
  /** A confidential client with a service account. */
  client: z.strictObject({ id: z.string().min(1), secret: secretReference }),
  tls: httpTls.optional(),
  /** Names of policy to attributes of Keycloak; the realm's user profile must declare its own ones. */
  attributes: z.record(attributeName, attributeMapping).default({
    email: { attribute: 'email', type: 'string', required: false },
    firstName: { attribute: 'firstName', type: 'string', required: false },
    lastName: { attribute: 'lastName', type: 'string', required: false },
  }),
  /** The attribute of Keycloak that carries Tenure's key. */
  key: attributeName.default('externalId'),
  /** False where the realm forbids to change a user name. */
  rename: z.boolean().default(true),
  entitlements: z
    .strictObject({
      groups: z.boolean().default(true),
      realmRoles: z.boolean().default(false),
      /** Client ids whose roles are entitlements. */
      clientRoles: z.array(z.string().min(1)).default([]),
    })
    .default({ groups: true, realmRoles: false, clientRoles: [] }),
  /** How an account is marked as archived. */
  archive: z
    .union([
      z.strictObject({ group: groupPath }),
      z.strictObject({ attribute: attributeName, value: z.string().min(1) }),
    ])
    .optional(),
  /** The client of a real sign-in by password (direct grant). Without it cuts are proven by reading only. */
  signIn: z.strictObject({ client: z.string().min(1), secret: secretReference.optional() }).optional(),
  /** How long an access token may live on; by default the realm and its clients are asked. */
  accessTokenSeconds: z.number().int().positive().optional(),
  /** Ask for each enabled account whether wrong passwords have locked it. */
  bruteForce: z.boolean().default(true),
  consistencyWindowMs: z.number().int().min(0).default(0),
  requestTimeoutMs: z.number().int().min(100).default(15_000),
});

export type IdentityProviderConfig = z.infer<typeof identityProviderConfigSchema>;
