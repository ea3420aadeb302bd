import { z } from 'zod';
import { secretReference as reference } from '../shared/secret-reference.js';
import { accountFields, directoryFields, directoryProblems, groupFields } from '../shared/ldap/config.js';

export const activeDirectoryConfigSchema = z
  .strictObject({
    ...directoryFields,
    /** The service account, as user principal name or DN. */
    bind: z.strictObject({
      name: z.string().regex(/.[@=]./, 'must be a user principal name or a DN'),
      password: reference,
    }),
    accounts: z.strictObject({
      ...accountFields,
      /** What follows the @ of user principal names; the login is sAMAccountName. */
      upnSuffix: z.string().regex(/^[A-Za-z0-9.-]+$/, 'must be a domain name'),
      /** A person who gets a new password has to change it at the first sign-in (pwdLastSet = 0). */
      mustChangePassword: z.boolean().default(false),
    }),
    groups: z.strictObject(groupFields).optional(),
  })
  .superRefine((config, issues) => {
    for (const { path, message } of directoryProblems(config)) {
      issues.addIssue({ code: 'custom', path, message });
    }
    if (config.tls.mode === 'none') {
      const message = 'Active Directory takes passwords over an encrypted connection only';
      issues.addIssue({ code: 'custom', path: ['tls', 'mode'], message });
    }
  });

export type ActiveDirectoryConfig = z.infer<typeof activeDirectoryConfigSchema>;
