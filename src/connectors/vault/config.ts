import { z } from 'zod';
import { httpTls, secretReference, urlOrReference } from '../shared/http/config.js';

const mount = z.string().regex(/^[\w.-]+(\/[\w.-]+)*$/, 'must be a path without a slash at its ends');
const attribute = z.string().regex(/^[A-Za-z][\w.-]{0,127}$/, 'must be a metadata key');

export const vaultConfigSchema = z.strictObject({
  /** `https://vault.example.com:8200`, or a reference to it. */
  address: urlOrReference,
  namespace: z.string().min(1).optional(),
  auth: z.union([
    z.strictObject({ token: secretReference }),
    z.strictObject({ roleId: secretReference, secretId: secretReference, mount: mount.default('approle') }),
  ]),
  tls: httpTls.optional(),
  requestTimeoutMs: z.int().positive().default(10_000),
  /** The userpass mount in which accounts have a password; without it accounts are entities alone, and sign in elsewhere. */
  userpass: z.strictObject({ mount: mount.default('userpass') }).optional(),
  /** Metadata keys that policy may write, besides `externalId` and `policies`. */
  attributes: z
    .array(attribute)
    .default([])
    .refine((names) => !['login', 'policies'].some((taken) => names.includes(taken)), 'login and policies are taken'),
  /** Identity groups carry entitlements. */
  groups: z.boolean().default(true),
  /** Tokens of the account are listed and revoked. */
  sessions: z.boolean().default(true),
  privileges: z
    .strictObject({
      /** Lease prefixes that belong to one person; `{login}` and `{id}` are filled in. */
      leases: z
        .array(z.string().regex(/^[\w.-]+(\/([\w.-]|\{login\}|\{id\})+)+$/, 'must be a lease prefix'))
        .default([])
        .refine((paths) => paths.every((path) => /\{(login|id)\}/.test(path)), 'must hold {login} or {id}'),
      /** Sets of the LDAP engine's library, as MOUNT/library/SET. */
      libraries: z.array(z.string().regex(/^[\w./-]+\/library\/[\w.-]+$/, 'must be MOUNT/library/SET')).default([]),
    })
    .optional(),
});

export type VaultConfig = z.infer<typeof vaultConfigSchema>;
