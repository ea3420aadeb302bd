import { z } from 'zod';
import { isSecretReference } from '../secret.js';

/** The allow-list: only names of this form, and only those written in the configuration, ever become identifiers. */
const identifier = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be a plain lower-case SQL identifier');

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

export const sqlConfigSchema = z
  .strictObject({
    dialect: z.literal('postgres').default('postgres'),
    /** The service role's connection URL; it holds a password, so by reference only. */
    url: z.string().refine(isSecretReference, 'must be a reference, env:NAME or file:PATH'),
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
    logins: z.strictObject({ grant: identifier.optional() }).optional(),
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
    if (config.attributes['login'] !== undefined) {
      issues.addIssue({ code: 'custom', path: ['attributes', 'login'], message: 'is configured under accounts.login' });
    }
  });

export type SqlConfig = z.infer<typeof sqlConfigSchema>;
export type SqlHook = 'create' | 'enable' | 'disable' | 'archive' | 'delete';
