/** The only place that reads the environment: everything else is handed a typed {@link Config}. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { z } from 'zod';
import { referenceTo, vaultConfig, vaultVariables } from './config-vault.js';
import type { VaultConfig } from './config-vault.js';
import { smtpConfig, smtpVariables } from './config-smtp.js';
import type { SmtpConfig } from './config-smtp.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a secret is kept; the secret itself never travels in configuration. */
export type SecretReference =
  { readonly kind: 'env'; readonly name: string } | { readonly kind: 'file'; readonly path: string };

export interface Config {
  /** Absolute folder of everything Tenure keeps on this machine. */
  readonly home: string;
  /** Absolute folder of the policy files. */
  readonly policyDir: string;
  /** Absolute folder that is laid over it: a file there takes the place of the one of the same path. Set by npm start. */
  readonly policyOverlay: string | undefined;
  /** Absolute folder for downloads that may be fetched again at any time. */
  readonly cacheDir: string;
  readonly logLevel: LogLevel;
  /** Port 0 means any free one. */
  readonly api: { readonly host: string; readonly port: number };
  readonly metrics: {
    /** Port of the worker's own metrics; undefined: not served. */
    readonly workerPort: number | undefined;
    /** Port of the Temporal SDK's metrics inside the worker; undefined: not served. */
    readonly temporalSdkPort: number | undefined;
  };
  /** Sites whose queues this worker serves, and no others; empty: everything but the sites' queues. */
  readonly workerSites: readonly string[];
  readonly temporal: TemporalConfig;
  readonly database: DatabaseConfig;
  readonly masterKey: SecretReference;
  /** Ed25519 key (PEM, PKCS 8) that signs termination reports; undefined and no file at its usual place: none are made. */
  readonly reportKey: { readonly reference: SecretReference; readonly isDefault: boolean };
  /** Keys of the payload codec, `id:base64,…` with the newest first; undefined: Temporal's payloads are not encrypted. */
  readonly codecKeys: SecretReference | undefined;
  /** Where `vault:` references of policy are read; undefined: they cannot be used. */
  readonly vault: VaultConfig | undefined;
  /** Where notices are handed to; undefined: they are kept and not sent. */
  readonly smtp: SmtpConfig | undefined;
  /** Where people reach the API, for links in notices. */
  readonly publicUrl: string | undefined;
  /** Only set by the embedded stack, for its sandbox. */
  readonly sandbox: {
    /** Superuser of the embedded Postgres, for the sandbox targets' own databases; a secret. */
    readonly postgresAdminUrl: string | undefined;
    /** An API token with every role that the API accepts from its start; a secret. */
    readonly token: string | undefined;
    readonly scimPort: number;
    readonly wikiPort: number;
    /** auto: real systems of this machine where they are; embedded: none of them. */
    readonly systems: 'auto' | 'embedded';
  };
  /** What the command line client talks to; undefined: the stack described by run.json in home. */
  readonly client: { readonly url: string | undefined; readonly token: string | undefined };
}

export interface TemporalConfig {
  /** brought: the standard TEMPORAL_* variables name a server; embedded: the stack starts its own. */
  readonly mode: 'brought' | 'embedded';
  readonly namespace: string;
  /** Options for Connection.connect and NativeConnection.connect; in embedded mode without an address. */
  readonly connection: ClientConnectConfig['connectionOptions'];
  readonly embedded: {
    readonly port: number;
    readonly uiPort: number;
    readonly cliPath: string | undefined;
    /** The caller's PATH, searched for a temporal command. */
    readonly searchPath: string;
  };
}

export interface DatabaseConfig {
  /** brought: TENURE_DATABASE_URL names a server; embedded: the stack starts its own. */
  readonly mode: 'brought' | 'embedded';
  readonly embeddedPort: number;
  /** The brought server's address as it was given; a secret. */
  readonly adminUrl: string | undefined;
  readonly urls: Readonly<Record<DatabaseRole, string | undefined>>;
}

/** owner runs migrations, app is the API's and the workers', auditor may only read. */
export type DatabaseRole = 'owner' | 'app' | 'auditor';

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** The environment says something Tenure cannot use; the message has one sentence per variable and never a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const portText = 'must be a port number from 0 (any free one) to 65535';
const port = (fallback: number) => optionalPort.transform((value) => value ?? fallback);
const optionalPort = z
  .string()
  .regex(/^\d{1,5}$/, portText)
  .transform(Number)
  .refine((value) => value <= 65_535, portText)
  .optional();
const postgresUrl = z
  .string()
  .refine(isPostgresUrl, 'must be a Postgres URL such as postgresql://user:password@host:5432/database')
  .optional();
const secretReference = referenceTo('the key');
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional();

const schema = z.object({
  TENURE_HOME: z.string().optional(),
  TENURE_POLICY_DIR: z.string().optional(),
  TENURE_POLICY_OVERLAY: z.string().optional(),
  TENURE_SANDBOX: z.enum(['auto', 'embedded'], { error: 'must be auto or embedded' }).default('auto'),
  TENURE_CACHE_DIR: z.string().optional(),
  XDG_CACHE_HOME: z.string().optional(),
  TENURE_LOG_LEVEL: z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}` }).default('info'),
  TENURE_HOST: z.string().default('127.0.0.1'),
  TENURE_PORT: port(7480),
  TENURE_WORKER_QUEUES: z
    .string()
    .regex(/^site-[a-z][a-z0-9-]{0,40}(,site-[a-z][a-z0-9-]{0,40})*$/, 'must be site-NAME, or several with commas')
    .optional(),
  TENURE_WORKER_METRICS_PORT: optionalPort,
  TENURE_TEMPORAL_METRICS_PORT: optionalPort,
  TENURE_TEMPORAL_PORT: port(7481),
  TENURE_TEMPORAL_UI_PORT: port(7482),
  TENURE_POSTGRES_PORT: port(7483),
  TENURE_DATABASE_URL: postgresUrl,
  TENURE_DATABASE_OWNER_URL: postgresUrl,
  TENURE_DATABASE_APP_URL: postgresUrl,
  TENURE_DATABASE_AUDITOR_URL: postgresUrl,
  TENURE_MASTER_KEY: secretReference,
  TENURE_REPORT_KEY: secretReference,
  TENURE_CODEC_KEYS: secretReference,
  ...vaultVariables,
  ...smtpVariables,
  TENURE_PUBLIC_URL: httpUrl,
  TENURE_SANDBOX_POSTGRES_URL: postgresUrl,
  TENURE_SANDBOX_TOKEN: z.string().optional(),
  TENURE_TARGETS_SCIM_PORT: port(0),
  TENURE_TARGETS_WIKI_PORT: port(0),
  TENURE_URL: httpUrl,
  TENURE_TOKEN: z.string().optional(),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d{1,5}$/, 'must be host:port')
    .optional(),
  TEMPORAL_NAMESPACE: z.string().default('tenure'),
  TEMPORAL_PROFILE: z.string().optional(),
  TEMPORAL_CONFIG_FILE: z.string().optional(),
  TEMPORAL_CLI_PATH: z.string().optional(),
  PATH: z.string().default(''),
});
type Variables = z.infer<typeof schema>;

/**
 * Reads and checks the configuration. Pure but for reading a Temporal profile file when one is named.
 * Empty variables count as unset; relative paths are taken from `cwd`.
 * @throws ConfigError naming each wrong variable and what was expected.
 */
export function loadConfig(env: Environment = process.env, cwd: string = process.cwd()): Config {
  const parsed = schema.safeParse(withoutEmpty(env));
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}.`).join('\n'));
  }
  const vars = parsed.data;
  const home = resolve(cwd, vars.TENURE_HOME ?? '.tenure');
  const absolute = (text: string): string => referenceText(parseReference(text, cwd));
  const vault = vaultConfig(vars, absolute);
  if (typeof vault === 'string') throw new ConfigError(vault);
  const smtp = smtpConfig(vars, absolute);
  if (typeof smtp === 'string') throw new ConfigError(smtp);
  return {
    home,
    policyDir: resolve(cwd, vars.TENURE_POLICY_DIR ?? 'policy'),
    policyOverlay: vars.TENURE_POLICY_OVERLAY === undefined ? undefined : resolve(cwd, vars.TENURE_POLICY_OVERLAY),
    cacheDir: resolve(cwd, vars.TENURE_CACHE_DIR ?? join(vars.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tenure')),
    logLevel: vars.TENURE_LOG_LEVEL,
    api: { host: vars.TENURE_HOST, port: vars.TENURE_PORT },
    metrics: { workerPort: vars.TENURE_WORKER_METRICS_PORT, temporalSdkPort: vars.TENURE_TEMPORAL_METRICS_PORT },
    workerSites: (vars.TENURE_WORKER_QUEUES?.split(',') ?? []).map((queue) => queue.slice('site-'.length)),
    temporal: temporalConfig(vars, env),
    database: databaseConfig(vars),
    masterKey: parseReference(vars.TENURE_MASTER_KEY ?? `file:${join(home, 'master.key')}`, cwd),
    reportKey: {
      reference: parseReference(vars.TENURE_REPORT_KEY ?? `file:${join(home, 'report.key')}`, cwd),
      isDefault: vars.TENURE_REPORT_KEY === undefined,
    },
    codecKeys: vars.TENURE_CODEC_KEYS === undefined ? undefined : parseReference(vars.TENURE_CODEC_KEYS, cwd),
    vault,
    smtp,
    publicUrl: vars.TENURE_PUBLIC_URL,
    sandbox: {
      postgresAdminUrl: vars.TENURE_SANDBOX_POSTGRES_URL,
      token: vars.TENURE_SANDBOX_TOKEN,
      scimPort: vars.TENURE_TARGETS_SCIM_PORT,
      wikiPort: vars.TENURE_TARGETS_WIKI_PORT,
      systems: vars.TENURE_SANDBOX,
    },
    client: { url: vars.TENURE_URL, token: vars.TENURE_TOKEN },
  };
}

/** What the sandbox targets' process needs. */
export interface TargetsConfig {
  /** Superuser of the Postgres server that the targets' own databases live on; a secret. */
  readonly databaseUrl: string;
  /** Port 0 means the port of the last start, else any free one. */
  readonly scimPort: number;
  readonly wikiPort: number;
  /** Undefined: derived from the database's address. */
  readonly scimToken: string | undefined;
}

const targetsSchema = z.object({
  TENURE_TARGETS_DATABASE_URL: postgresUrl,
  TENURE_SANDBOX_POSTGRES_URL: postgresUrl,
  TENURE_TARGETS_SCIM_PORT: port(0),
  TENURE_TARGETS_WIKI_PORT: port(0),
  TENURE_TARGETS_SCIM_TOKEN: z.string().optional(),
});

/**
 * Reads the sandbox targets' configuration.
 * @throws ConfigError naming what is wrong or missing.
 */
export function loadTargetsConfig(env: Environment = process.env): TargetsConfig {
  const parsed = targetsSchema.safeParse(withoutEmpty(env));
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}.`).join('\n'));
  }
  const databaseUrl = parsed.data.TENURE_TARGETS_DATABASE_URL ?? parsed.data.TENURE_SANDBOX_POSTGRES_URL;
  if (databaseUrl === undefined) {
    throw new ConfigError('TENURE_TARGETS_DATABASE_URL is not set: the sandbox targets need a Postgres superuser.');
  }
  return {
    databaseUrl,
    scimPort: parsed.data.TENURE_TARGETS_SCIM_PORT,
    wikiPort: parsed.data.TENURE_TARGETS_WIKI_PORT,
    scimToken: parsed.data.TENURE_TARGETS_SCIM_TOKEN,
  };
}

/**
 * The address for one database role.
 * @throws ConfigError when nobody configured it.
 */
export function requireDatabaseUrl(config: Config, role: DatabaseRole): string {
  const url = config.database.urls[role];
  if (url === undefined) {
    throw new ConfigError(
      `TENURE_DATABASE_${role.toUpperCase()}_URL is not set: it must be the Postgres URL of the ${role} role (npm start sets it by itself).`,
    );
  }
  return url;
}

/**
 * Parses `env:NAME` or `file:PATH` (relative paths from `cwd`).
 * @throws ConfigError when the text is neither; the text itself is not repeated, it might be a secret.
 */
export function parseReference(text: string, cwd: string = process.cwd()): SecretReference {
  if (/^env:[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return { kind: 'env', name: text.slice(4) };
  const path = text.startsWith('file:') ? text.slice(5) : '';
  if (path === '') throw new ConfigError('A secret must be given by reference, as env:NAME or file:PATH.');
  return { kind: 'file', path: isAbsolute(path) ? path : resolve(cwd, path) };
}

/** A reference as text again. */
export function referenceText(reference: SecretReference): string {
  return reference.kind === 'env' ? `env:${reference.name}` : `file:${reference.path}`;
}

/**
 * Reads the secret behind a reference, without the line end a file usually has.
 * @throws ConfigError when the variable or the file is missing or empty.
 */
export function readSecret(reference: SecretReference, env: Environment = process.env): string {
  const where = reference.kind === 'env' ? `Variable ${reference.name}` : `File ${reference.path}`;
  const text = reference.kind === 'env' ? env[reference.name] : readFileOrUndefined(reference.path);
  const secret = text?.replace(/\r?\n$/, '');
  if (secret === undefined || secret === '') {
    throw new ConfigError(`${where} is missing, empty or not readable, but a secret is expected there.`);
  }
  return secret;
}

/**
 * The 32 bytes under which the data keys are wrapped.
 * @throws ConfigError when the key is missing or is not base64 of 32 bytes.
 */
export function readMasterKey(config: Config, env: Environment = process.env): Buffer {
  const key = Buffer.from(readSecret(config.masterKey, env), 'base64');
  if (key.length !== 32) {
    throw new ConfigError('TENURE_MASTER_KEY must refer to 32 random bytes in base64 (npm start makes such a file).');
  }
  return key;
}

/**
 * The key that signs termination reports, as it stands there; undefined when nobody named one and there is none in home.
 * @throws ConfigError when a named key is missing or empty.
 */
export function readReportKey(config: Config, env: Environment = process.env): string | undefined {
  const { reference, isDefault } = config.reportKey;
  if (isDefault && reference.kind === 'file' && readFileOrUndefined(reference.path) === undefined) return undefined;
  return readSecret(reference, env);
}

/** The whole environment, for handing on to a child process that is not ours (PATH, HOME, locale). */
export function inheritedEnvironment(): Environment {
  return process.env;
}

function temporalConfig(vars: Variables, env: Environment): TemporalConfig {
  const named = vars.TEMPORAL_PROFILE ?? vars.TEMPORAL_CONFIG_FILE;
  const brought = vars.TEMPORAL_ADDRESS !== undefined || named !== undefined;
  const loaded = brought ? loadProfile(env, named === undefined) : undefined;
  return {
    mode: brought ? 'brought' : 'embedded',
    namespace: loaded?.namespace ?? vars.TEMPORAL_NAMESPACE,
    connection: loaded?.connectionOptions ?? {},
    embedded: {
      port: vars.TENURE_TEMPORAL_PORT,
      uiPort: vars.TENURE_TEMPORAL_UI_PORT,
      cliPath: vars.TEMPORAL_CLI_PATH,
      searchPath: vars.PATH,
    },
  };
}

function loadProfile(env: Environment, disableFile: boolean): ClientConnectConfig {
  const defined = Object.entries(withoutEmpty(env)).filter((pair): pair is [string, string] => pair[1] !== undefined);
  try {
    // A profile file nobody named must not add its keys to a server named by address.
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(defined), disableFile });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`The TEMPORAL_* variables or the profile they name cannot be used: ${reason}.`);
  }
}

function databaseConfig(vars: Variables): DatabaseConfig {
  return {
    mode: vars.TENURE_DATABASE_URL === undefined ? 'embedded' : 'brought',
    embeddedPort: vars.TENURE_POSTGRES_PORT,
    adminUrl: vars.TENURE_DATABASE_URL,
    urls: {
      owner: vars.TENURE_DATABASE_OWNER_URL ?? vars.TENURE_DATABASE_URL,
      app: vars.TENURE_DATABASE_APP_URL,
      auditor: vars.TENURE_DATABASE_AUDITOR_URL,
    },
  };
}

function withoutEmpty(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''));
}

function isPostgresUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.pathname.length > 1;
}

function readFileOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
