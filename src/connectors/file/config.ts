import { z } from 'zod';
import { secretReference as reference } from '../shared/secret-reference.js';

const column = z.string().min(1);
/** A name inside the configured folder; nothing can point out of it. */
const name = z.string().regex(/^(?!\.)[\w. -]+(\/(?!\.)[\w. -]+)*$/, 'must be a plain relative name inside the folder');

const place = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('local'),
    folder: z.string().regex(/^(\/|[A-Za-z]:[\\/])/, 'must be absolute'),
  }),
  z.strictObject({
    kind: z.literal('sftp'),
    host: z.string().min(1),
    port: z.int().min(1).max(65_535).default(22),
    user: z.string().min(1),
    auth: z.discriminatedUnion('method', [
      z.strictObject({ method: z.literal('key'), key: reference, passphrase: reference.optional() }),
      z.strictObject({ method: z.literal('password'), password: reference }),
    ]),
    /** What `ssh-keygen -lf` prints. Several while a key is being changed; a server with any other key is refused. */
    hostKeys: z.array(z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'must be a SHA256:… fingerprint')).min(1),
    folder: z.string().min(1).default('.'),
  }),
]);

const attribute = z.union([
  column.transform((text) => ({ column: text, type: 'string' as const, required: false, separator: ';' })),
  z.strictObject({
    column,
    type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
    required: z.boolean().default(false),
    separator: z.string().length(1).default(';'),
  }),
]);

/** When a file that the target writes may be believed. */
const ready = z.strictObject({
  /** It must exist and not be older than the file. */
  doneFile: name.optional(),
  /** The file must not have been changed for so long, by this machine's clock. */
  quietMs: z.int().nonnegative().default(2_000),
});

const entitlements = z.union([
  z.strictObject({
    column,
    separator: z.string().length(1).default(';'),
    /** Every entitlement that there is; others are refused. */
    names: z.array(z.string().min(1)).min(1),
  }),
  /** One column per entitlement. */
  z.strictObject({
    columns: z.record(z.string().min(1), column),
    held: z.string().min(1).default('Y'),
    absent: z.string().default('N'),
  }),
]);

const mode = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('snapshot'),
    file: name,
    /** Written anew after each replacement; what makes the target load the file. */
    doneFile: name.optional(),
    /** Other programs write the file too: then it is believed only when this holds. */
    ready: ready.optional(),
  }),
  z.strictObject({
    kind: z.literal('delta'),
    /** Folder of the change files. */
    changes: name,
    /** A file beside each change file, by this ending, written after it; `none` when the target takes whole files only. */
    doneSuffix: z.union([z.literal('none'), z.string().regex(/^\.[\w.-]+$/)]).default('.done'),
    export: name,
    ready: ready.prefault({}),
    operationColumn: column.default('operation'),
    operations: z
      .strictObject({
        create: z.string().min(1).default('create'),
        update: z.string().min(1).default('update'),
        delete: z.string().min(1).default('delete'),
      })
      .prefault({}),
    /** What a cell holds that is not to be changed, and one that is to be emptied. */
    unchanged: z.string().default(''),
    cleared: z.string().min(1).default('(none)'),
  }),
]);

const format = z.strictObject({
  encoding: z.enum(['utf-8', 'utf-8-bom', 'windows-1252']).default('utf-8'),
  delimiter: z.string().length(1).default(','),
  quote: z.string().length(1).default('"'),
  newline: z.enum(['lf', 'crlf']).default('lf'),
  /**
   * Values that a spreadsheet would run (= + - @ tab, carriage return). refuse: INVALID. neutralise: an apostrophe goes
   * before them and is taken away when reading.
   */
  formulas: z.enum(['refuse', 'neutralise']).default('refuse'),
  /** What columns that are not configured mean: an error, or kept as they are. */
  otherColumns: z.enum(['refuse', 'keep']).default('refuse'),
});

export const fileConfigSchema = z
  .strictObject({
    place,
    mode,
    format: format.prefault({}),
    accounts: z.strictObject({
      key: column,
      /** `derived`: made from the adoption key, the same for every try. Else the attribute that fills the key column. */
      keyFrom: z.string().min(1).default('derived'),
      login: column,
      status: z.strictObject({ column, enabled: z.string().min(1), disabled: z.string().min(1) }),
    }),
    attributes: z.record(z.string().regex(/^[A-Za-z][\w.:-]*$/), attribute),
    adoptionKey: z.string().default('externalId'),
    entitlements: entitlements.optional(),
    lock: z
      .strictObject({
        /** How long a write waits for another writer. */
        waitMs: z.int().nonnegative().default(5_000),
        /** A lock whose holder should have ended so long ago is taken over. More than the clocks of the writers differ. */
        graceMs: z.int().min(1_000).default(30_000),
      })
      .prefault({}),
    maxBytes: z
      .int()
      .positive()
      .default(64 * 1024 * 1024),
    requestTimeoutMs: z.int().positive().default(20_000),
    consistencyWindowMs: z.int().nonnegative().default(0),
  })
  .superRefine((config, issues) => {
    for (const { path, message } of problems(config)) {
      issues.addIssue({ code: 'custom', path, message });
    }
  });

export type FileConfig = z.infer<typeof fileConfigSchema>;
export type FileFormat = FileConfig['format'];
export type AttributeColumn = FileConfig['attributes'][string];
export type EntitlementColumns = NonNullable<FileConfig['entitlements']>;
export type SnapshotMode = Extract<FileConfig['mode'], { kind: 'snapshot' }>;
export type DeltaMode = Extract<FileConfig['mode'], { kind: 'delta' }>;
export type Ready = z.infer<typeof ready>;

interface Problem {
  readonly path: string[];
  readonly message: string;
}

function problems(config: FileConfig): readonly Problem[] {
  const found: Problem[] = [];
  const { accounts, attributes, format: form } = config;
  if (attributes[config.adoptionKey] === undefined) {
    const message = `attribute ${config.adoptionKey} (the adoption key) is not among the attributes`;
    found.push({ path: ['adoptionKey'], message });
  }
  if (attributes['login'] !== undefined) {
    found.push({ path: ['attributes', 'login'], message: 'is configured under accounts.login' });
  }
  if (accounts.keyFrom !== 'derived') {
    const source = attributes[accounts.keyFrom];
    if (source === undefined || source.column !== accounts.key || source.type !== 'string') {
      const message = 'must be "derived", or a string attribute whose column is the key column';
      found.push({ path: ['accounts', 'keyFrom'], message });
    }
  }
  if (accounts.status.enabled === accounts.status.disabled) {
    found.push({ path: ['accounts', 'status'], message: 'the words for enabled and disabled are the same' });
  }
  const names = configuredColumns(config);
  const twice = names.filter((one, index) => names.indexOf(one) !== index);
  if (twice.length > 0) {
    found.push({ path: ['attributes'], message: `columns used twice: ${twice.join(', ')}` });
  }
  if (form.delimiter === form.quote || /[\r\n\0]/.test(form.delimiter + form.quote)) {
    found.push({ path: ['format', 'delimiter'], message: 'delimiter and quote must differ and be no line breaks' });
  }
  return found;
}

/** Every column that the configuration names, in the order of a change file. */
export function configuredColumns(config: FileConfig): readonly string[] {
  const { accounts, attributes, entitlements: rights } = config;
  const own = Object.values(attributes).map((one) => one.column);
  const held = rights === undefined ? [] : 'column' in rights ? [rights.column] : Object.values(rights.columns);
  const others = own.filter((one) => accounts.keyFrom === 'derived' || one !== accounts.key);
  return [accounts.key, accounts.login, accounts.status.column, ...others, ...held];
}
