import { z } from 'zod';
import { connectionShape, identifier } from '../shared/sql/connection.js';
import { dialectNames } from '../shared/sql/dialect.js';
import { dialects } from '../shared/sql/dialects/index.js';

const table = z.strictObject({ schema: identifier, name: identifier });

const attribute = z.strictObject({
  column: identifier,
  type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
  required: z.boolean().default(false),
  /** False: read and compared, never written (the database computes it). */
  writable: z.boolean().default(true),
});

/** One statement with `:name` parameters, which are always bound, never pasted. */
const statement = z.string().refine((text) => !text.includes(';'), 'must be one statement without a semicolon');
const statements = z.array(statement).default([]);

export const procedureOperations = [
  'create',
  'update',
  'disable',
  'enable',
  'seal',
  'setSecret',
  'archive',
  'delete',
  'addMember',
  'removeMember',
  'revokeSessions',
  'transferOwned',
] as const;
export type ProcedureOperation = (typeof procedureOperations)[number];

const procedure = z.strictObject({
  call: table,
  parameters: z.array(z.string().regex(/^[A-Za-z][\w.:-]*$/)).default([]),
});

export const sqlConfigSchema = z
  .strictObject({
    dialect: z.enum(dialectNames).default('postgres'),
    ...connectionShape,
    accounts: z.strictObject({
      table,
      /** Immutable primary key, made by the database. */
      key: identifier,
      login: identifier,
      /** Boolean column: may this account be used. */
      enabled: identifier,
    }),
    attributes: z.record(z.string().regex(/^[A-Za-z][\w.:-]*$/), attribute),
    /** Attribute that carries Tenure's key and has a unique index; from policy, else the idempotency key. */
    adoptionKey: z.string().default('externalId'),
    /** Accounts also have a log-in of the database server; `grant` is a role that each of them gets. */
    logins: z
      .strictObject({
        grant: identifier.optional(),
        /** MariaDB: the host part of every log-in. */
        host: z
          .string()
          .regex(/^[\w.%:/-]{1,60}$/, 'must be a host, an address or a pattern')
          .default('%'),
        /** MariaDB: a view with `login` and `can_login`, so that the service account need not read mysql.global_priv. */
        catalogue: table.optional(),
      })
      .optional(),
    /** A row per account and role; `catalog` lists the roles that exist. */
    entitlements: z
      .strictObject({
        table,
        account: identifier,
        role: identifier,
        catalog: z.strictObject({ table, role: identifier }).optional(),
      })
      .optional(),
    /** Boolean column that is set when an account is archived. */
    archive: z.strictObject({ column: identifier }).optional(),
    /** Soft delete: the row stays with this value in this column, and is read as absent from then on. */
    delete: z.strictObject({ column: identifier, value: z.union([z.string(), z.number(), z.boolean()]) }).optional(),
    /**
     * Procedures that are called instead of the statements of an operation, with these parameters in this order: login,
     * nativeId, idempotencyKey, enabled, verifier (a password hash), role, heir (a login), or an attribute.
     */
    procedures: z.partialRecord(z.enum(procedureOperations), procedure).default({}),
    /** Further statements of the same transaction. Parameters: login, nativeId, idempotencyKey, and on create attributes. */
    statements: z
      .strictObject({
        create: statements,
        enable: statements,
        disable: statements,
        archive: statements,
        delete: statements,
      })
      .partial()
      .default({}),
    requestTimeoutMs: z.int().positive().default(10_000),
    maxConnections: z.int().min(1).max(50).default(8),
    consistencyWindowMs: z.int().nonnegative().default(0),
  })
  .superRefine((config, issues) => {
    if (config.attributes[config.adoptionKey] === undefined) {
      const message = `attribute ${config.adoptionKey} (the adoption key) is not among the attributes`;
      issues.addIssue({ code: 'custom', path: ['adoptionKey'], message });
    }
    if (config.logins !== undefined && dialects[config.dialect].logins === undefined) {
      const message = `log-ins of the server are not offered for ${config.dialect}`;
      issues.addIssue({ code: 'custom', path: ['logins'], message });
    }
    if (config.attributes['login'] !== undefined) {
      issues.addIssue({ code: 'custom', path: ['attributes', 'login'], message: 'is configured under accounts.login' });
    }
  });

export type SqlConfig = z.infer<typeof sqlConfigSchema>;
export type SqlHook = 'create' | 'enable' | 'disable' | 'archive' | 'delete';
