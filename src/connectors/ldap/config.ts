import { z } from 'zod';
import { secretReference as reference } from '../shared/secret-reference.js';
import { accountFields, directoryFields, directoryProblems, dn, groupFields } from '../shared/ldap/config.js';

const name = z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'must be an LDAP name');
export const ldapConfigSchema = z
  .strictObject({
    ...directoryFields,
    bind: z.discriminatedUnion('method', [
      z.strictObject({ method: z.literal('simple'), dn, password: reference }),
      /** SASL EXTERNAL: the client certificate is who we are. */
      z.strictObject({ method: z.literal('external') }),
    ]),
    accounts: z.strictObject({
      ...accountFields,
      /** The first is what entries are found by, unless `filter` says otherwise. */
      objectClasses: z.array(name).min(1).default(['inetOrgPerson']),
      login: name.default('uid'),
    }),
    groups: z
      .strictObject({
        ...groupFields,
        objectClass: name.default('groupOfNames'),
        member: z
          .enum(['member', 'uniqueMember', 'memberUid'])
          .default('member')
          .describe('memberUid holds log-ins, the others hold DNs'),
        /** The server keeps this attribute of accounts (the memberOf overlay). Without it groups are searched. */
        memberOf: name.optional(),
        placeholder: dn.optional(),
      })
      .optional(),
    /** How accounts are locked; see docs/connectors.md. */
    lock: z
      .union([
        z.enum(['ppolicy', 'nsAccountLock']),
        z.strictObject({ attribute: name, disabled: z.string().min(1), enabled: z.string().min(1).optional() }),
      ])
      .default('ppolicy'),
    /** exop: the Password Modify operation (RFC 3062); modify: userPassword, which the server must hash. */
    password: z.enum(['exop', 'modify']).default('modify'),
  })
  .superRefine((config, issues) => {
    for (const { path, message } of directoryProblems(config)) {
      issues.addIssue({ code: 'custom', path, message });
    }
    if (config.bind.method === 'external' && config.tls.clientCertificate === undefined) {
      issues.addIssue({
        code: 'custom',
        path: ['tls', 'clientCertificate'],
        message: 'is needed by bind method external',
      });
    }
  });

export type LdapConfig = z.infer<typeof ldapConfigSchema>;
