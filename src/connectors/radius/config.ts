import { z } from 'zod';
import { connectionShape, identifier, reference } from '../shared/sql/connection.js';

const group = z.string().regex(/^[A-Za-z][\w.-]{0,63}$/, 'must be a plain group name');
const port = z.int().min(1).max(65_535);
const host = z.string().regex(/^[\w.:-]{1,253}$/, 'must be a host name or an address');

/** A row of radcheck (read by the server alone) or of radreply (sent to the VPN gateway). */
const attribute = z.strictObject({
  table: z.enum(['check', 'reply']),
  attribute: z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be the name of a RADIUS attribute'),
  required: z.boolean().default(false),
});

const tables = z
  .strictObject({
    schema: identifier.default('public'),
    check: identifier.default('radcheck'),
    reply: identifier.default('radreply'),
    userGroups: identifier.default('radusergroup'),
    groupCheck: identifier.default('radgroupcheck'),
    groupReply: identifier.default('radgroupreply'),
    accounting: identifier.default('radacct'),
  })
  .prefault({});

export const radiusConfigSchema = z
  .strictObject({
    /** The Postgres database that FreeRADIUS reads by rlm_sql. */
    ...connectionShape,
    tables,
    /** Whose passwords count: the directory's, or rows of radcheck that Tenure writes. */
    passwords: z.enum(['directory', 'local']).default('directory'),
    /** With passwords of the directory: log-ins whose password is a row all the same, such as the canary. */
    localLogins: z.array(z.string()).default([]),
    /** The group row that says how an account stands; the server's policy reads these names. */
    groups: z
      .strictObject({
        admitted: group.default('tenure-admitted'),
        denied: group.default('tenure-denied'),
        /** Denied, and its password row is one that only Tenure knows. */
        sealed: group.default('tenure-sealed'),
      })
      .prefault({}),
    attributes: z.record(z.string().regex(/^[A-Za-z][\w.:-]*$/), attribute),
    /** Attribute that carries Tenure's key, a row of radcheck; from policy, else the idempotency key. */
    adoptionKey: z.string().default('externalId'),
    /** Where sign-ins are tried. */
    server: z
      .strictObject({
        host,
        port: port.default(1812),
        secret: reference,
        nasIdentifier: z.string().min(1).max(253).default('tenure'),
        /** The Reply-Message that the server's policy gives to a denied account whose password was right, and to nobody else. */
        disabledMessage: z.string().min(1).max(253).default('tenure:account-disabled'),
      })
      .optional(),
    /** Sessions of radacct; gateways that take Disconnect-Requests (RFC 5176), by the address that radacct shows. */
    sessions: z
      .strictObject({
        gateways: z
          .record(
            z.string(),
            z.strictObject({
              host: host.optional(),
              port: port.default(3799),
              secret: reference,
              messageAuthenticator: z.enum(['required', 'optional']).default('required'),
            }),
          )
          .default({}),
        /** The longest that a gateway keeps a session: what nobody can end is over then. */
        maxSeconds: z.int().positive().optional(),
      })
      .optional(),
    requestTimeoutMs: z.int().positive().default(10_000),
    maxConnections: z.int().min(1).max(50).default(8),
    consistencyWindowMs: z.int().nonnegative().default(0),
  })
  .superRefine((config, issues) => {
    if (config.attributes[config.adoptionKey]?.table !== 'check') {
      const message = `attribute ${config.adoptionKey} (the adoption key) must be among the attributes, in table check`;
      issues.addIssue({ code: 'custom', path: ['adoptionKey'], message });
    }
    if (config.attributes['login'] !== undefined) {
      issues.addIssue({ code: 'custom', path: ['attributes', 'login'], message: 'is the user name of every row' });
    }
    const names = Object.values(config.attributes).map((one) => `${one.table} ${one.attribute.toLowerCase()}`);
    if (new Set(names).size < names.length || names.some((name) => name.endsWith('-password'))) {
      const message = 'each RADIUS attribute once, and no password';
      issues.addIssue({ code: 'custom', path: ['attributes'], message });
    }
    if (new Set(Object.values(config.groups)).size < 3) {
      issues.addIssue({ code: 'custom', path: ['groups'], message: 'the three groups must differ' });
    }
  });

export type RadiusConfig = z.infer<typeof radiusConfigSchema>;
