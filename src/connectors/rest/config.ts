import { z } from 'zod';
import { httpTls, secretReference, urlOrReference } from '../shared/http/config.js';
import { auth } from './config-auth.js';
import { errorRow, expression, listing, request, signInAnswer, steps } from './config-parts.js';

const attribute = z.strictObject({
  /** Where the value is in an account as the target shows it. */
  read: expression('item', 'any'),
  type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
  required: z.boolean().default(false),
  /** False: read and compared, never written. */
  writable: z.boolean().default(true),
});

const accounts = z.strictObject({
  /** Immutable, made by the target. */
  id: expression('item', 'text'),
  login: expression('item', 'text'),
  /** `enabled`, `disabled` or `locked`, or true and false; anything else is unknown. */
  status: expression('item', 'any'),
  /** For If-Match: `headers: { If-Match: account.version }`. */
  version: expression('item', 'text').optional(),
  /** Whether an account is archived or anonymised. */
  archived: expression('item', 'bool').optional(),
  anonymised: expression('item', 'bool').optional(),
  /** Whether the target tells logins apart by case. */
  loginIsCaseSensitive: z.boolean().default(false),
});

const one = z.strictObject({
  request: request('byId'),
  item: expression('answer', 'any').default('body'),
  /** Whether an answer says "there is no such account"; be as exact as the target allows. */
  absent: expression('answer', 'bool').default('status == 404 || status == 410'),
});

const create = z.strictObject({
  /** Asked before: whether the login is taken although no account has it, for instance by one that is gone. Where one request creates and changes, this says so in time. */
  taken: z.strictObject({ request: request('create'), when: expression('answer', 'bool') }).optional(),
  steps: steps('create').max(1, 'must be one request; what follows belongs under then'),
  /** The new account's id in the answer; absent in it: the account is looked up. */
  id: expression('answer', 'text'),
  /** What is still to do when the account is there; done again by a repeat, so `when` should say whether it is needed. */
  then: steps('afterCreate').optional(),
});

const search = listing('find').extend({
  /** What is found says only who it is (`accounts.id`): each account is then read by `get`. */
  thenGet: z.boolean().default(false),
});

const operations = z.strictObject({
  list: listing('plain'),
  get: one,
  /** By `login` and by attributes. What comes back is compared with the value: a fuzzy search is no danger. */
  find: z.record(z.string(), search),
  create: create.optional(),
  update: steps('update').optional(),
  disable: steps('write').optional(),
  enable: steps('write').optional(),
  delete: steps('write').optional(),
  archive: steps('write').optional(),
  anonymise: steps('write').optional(),
  setSecret: steps('secret').optional(),
  /** Sets the secret and disables in one request. */
  seal: steps('secret').max(1, 'must be one request').optional(),
});

const groups = z.strictObject({
  find: listing('groupByName'),
  id: expression('item', 'text'),
  name: expression('item', 'text'),
  ofAccount: listing('ofAccount'),
  members: listing('group'),
  memberId: expression('item', 'text'),
  add: steps('member'),
  remove: steps('member'),
});

const sessions = z.strictObject({
  list: listing('ofAccount'),
  revoke: steps('sessions'),
  /** What nobody can call back, and how long it lives at most. */
  residual: z.strictObject({ what: z.string().min(1), forMs: z.int().positive() }).optional(),
});

/** One of the target's lists of what lets a person in. */
const credentials = z.strictObject({
  list: listing('ofAccount'),
  /** One of Tenure's kinds; '' is none of them (the password itself). */
  kind: expression('item', 'text'),
  id: expression('item', 'text'),
  revoke: steps('credential'),
});

const owned = z.strictObject({ list: listing('ofAccount'), id: expression('item', 'text'), transfer: steps('owned') });

const signIn = z.strictObject({
  /** Where people sign in, when that is elsewhere. */
  baseUrl: urlOrReference.optional(),
  request: request('signIn'),
  secrets: z.record(z.string(), secretReference).default({}),
  /** `text`: the answer may be a page, and `body` is then its text. */
  body: z.enum(['json', 'text']).default('json'),
  /** The first row that fits decides; nothing fits = unknown. */
  answers: z.array(signInAnswer).min(1),
  /** The target's error id in the answer. */
  code: expression('answer', 'text').default('""'),
  /** Ends the session that an accepted probe opened. */
  signOut: request('signedIn').optional(),
});

export const restConfigSchema = z
  .strictObject({
    baseUrl: urlOrReference,
    auth,
    tls: httpTls.optional(),
    /** Constants for expressions: `values.realm`. */
    values: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    headers: z.record(z.string(), z.string()).default({}),
    accounts,
    attributes: z.record(z.string().regex(/^[A-Za-z][\w.:-]*$/, 'must be an attribute name'), attribute).default({}),
    /** The attribute that carries Tenure's key; from policy, else the idempotency key. */
    adoptionKey: z.string().optional(),
    /** `update` with `login` keeps the id. */
    rename: z.boolean().default(false),
    operations,
    groups: groups.optional(),
    sessions: sessions.optional(),
    credentials: z.array(credentials).min(1).optional(),
    owned: owned.optional(),
    signIn: signIn.optional(),
    /** The first row that fits decides; then what the status says (RFC 9110). */
    errors: z.array(errorRow).default([]),
    /** Header that carries the idempotency key of each write. */
    idempotencyHeader: z.string().optional(),
    /** When calls are allowed again; Retry-After is always read. */
    rate: z
      .strictObject({ resetHeader: z.string(), unit: z.enum(['epoch-seconds', 'epoch-ms', 'seconds', 'ms']) })
      .optional(),
    requestTimeoutMs: z.int().positive().default(10_000),
    maxConnections: z.int().min(1).max(50).default(8),
    consistencyWindowMs: z.int().nonnegative().default(0),
  })
  .superRefine((config, issues) => {
    const wrong = (path: string[], message: string): void => issues.addIssue({ code: 'custom', path, message });
    const { operations: ops, attributes, adoptionKey } = config;
    if (attributes['login'] !== undefined) wrong(['attributes', 'login'], 'is configured under accounts.login');
    if (ops.find['login'] === undefined)
      wrong(['operations', 'find', 'login'], 'is needed: accounts are found by login');
    for (const name of Object.keys(ops.find)) {
      if (name !== 'login' && attributes[name] === undefined)
        wrong(['operations', 'find', name], 'is not among the attributes');
    }
    if (adoptionKey !== undefined && (attributes[adoptionKey] === undefined || ops.find[adoptionKey] === undefined))
      wrong(['adoptionKey'], `${adoptionKey} must be an attribute, and operations.find must find by it`);
    if (ops.archive !== undefined && config.accounts.archived === undefined)
      wrong(['accounts', 'archived'], 'is needed for operations.archive');
    if (ops.anonymise !== undefined && config.accounts.anonymised === undefined)
      wrong(['accounts', 'anonymised'], 'is needed for operations.anonymise');
    if (config.rename && ops.update === undefined) wrong(['rename'], 'needs operations.update');
    for (const [path, jobs] of jobsOf(config)) {
      if (jobs && config.idempotencyHeader === undefined)
        wrong(path, 'needs find or an idempotencyHeader: a repeat must not start a second job');
    }
  });

export type RestConfig = z.infer<typeof restConfigSchema>;

type WithSteps = { readonly job?: { readonly find?: unknown } | undefined };

/** Every job of the configuration by its path, and whether it cannot be found again. */
function jobsOf(config: { operations: object }): readonly (readonly [string[], boolean])[] {
  return Object.entries(config.operations).flatMap(([name, value]: [string, unknown]) => {
    const list = Array.isArray(value) ? (value as WithSteps[]) : stepsIn(value);
    return list.flatMap((each, index) =>
      each.job === undefined
        ? []
        : [[['operations', name, String(index), 'job'], each.job.find === undefined] as const],
    );
  });
}

function stepsIn(value: unknown): readonly WithSteps[] {
  return typeof value === 'object' && value !== null && 'steps' in value ? (value.steps as WithSteps[]) : [];
}
