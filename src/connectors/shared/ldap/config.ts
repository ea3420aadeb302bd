import { FilterParser } from 'ldapts';
import { z } from 'zod';
import { secretReference as reference } from '../secret-reference.js';
import { isWithin } from './dn.js';

const attributeName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'must be an LDAP attribute name');
export const dn = z.string().regex(/^[A-Za-z][\w.-]*=.+/, 'must be a DN');

const filter = z.string().refine((text) => {
  try {
    FilterParser.parseString(text);
    return true;
  } catch {
    return false;
  }
}, 'must be an LDAP filter');

const mapped = z.strictObject({
  attribute: attributeName,
  type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
  required: z.boolean().default(false),
  /** False: read and compared, never written (the directory computes it). */
  writable: z.boolean().default(true),
});

/** Parts of the configuration that every directory has. */
export const directoryFields = {
  url: z.string().regex(/^ldaps?:\/\/[^/?#@]+\/?$/, 'must be ldap://HOST:PORT or ldaps://HOST:PORT'),
  tls: z
    .strictObject({
      /** `none` is for loopback alone. Without it: LDAPS by the URL's scheme, else StartTLS. */
      mode: z.enum(['auto', 'none']).default('auto'),
      /** PEM of the certificate authority; when given, no other is trusted. */
      ca: reference.optional(),
      /** SHA-256 of the server's own certificate, in hexadecimal. */
      fingerprint: z
        .string()
        .regex(/^([0-9A-Fa-f]{2}:?){32}$/, 'must be a SHA-256 fingerprint')
        .optional(),
      /** For SASL EXTERNAL. */
      clientCertificate: z.strictObject({ cert: reference, key: reference }).optional(),
    })
    .prefault({}),
  /** Attributes by Tenure's name; a text is short for `{ attribute: text }`. */
  attributes: z.record(z.string().regex(/^[A-Za-z][\w.:-]*$/), z.union([attributeName, mapped])),
  /** Attribute (Tenure's name) that carries Tenure's key; from policy, else the idempotency key. */
  adoptionKey: z.string().default('externalId'),
  /** Accounts are moved below this container when they are archived. */
  archive: z.strictObject({ container: dn }).optional(),
  requestTimeoutMs: z.int().positive().default(10_000),
  maxConnections: z.int().min(1).max(50).default(4),
  searchPageSize: z.int().min(1).max(1000).default(500),
  consistencyWindowMs: z.int().nonnegative().default(0),
};

export const accountFields = {
  /** Everything is searched below this DN; containers lie below it. */
  base: dn,
  /** Where new accounts are put. */
  container: dn,
  /** Which entries are accounts. */
  filter: filter.optional(),
};

export const groupFields = {
  base: dn,
  /** The attribute by which policy names groups. */
  name: attributeName.default('cn'),
};

export interface MappedAttribute {
  readonly attribute: string;
  readonly type: 'string' | 'number' | 'boolean' | 'strings';
  readonly required: boolean;
  readonly writable: boolean;
}

/** The attributes of a parsed configuration, all in their long form. */
export function mappedAttributes(
  attributes: Readonly<Record<string, string | MappedAttribute>>,
): Readonly<Record<string, MappedAttribute>> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, given]) => [
      name,
      typeof given === 'string'
        ? { attribute: given, type: 'string' as const, required: false, writable: true }
        : given,
    ]),
  );
}

/** What a zod schema of a directory must also refuse; paths are the configuration's own. */
export function directoryProblems(config: {
  readonly url: string;
  readonly tls: { readonly mode: 'auto' | 'none'; readonly clientCertificate?: unknown };
  readonly accounts: { readonly base: string; readonly container: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly adoptionKey: string;
  readonly archive?: { readonly container: string } | undefined;
}): readonly { readonly path: string[]; readonly message: string }[] {
  const problems: { path: string[]; message: string }[] = [];
  const { accounts, attributes, adoptionKey, archive } = config;
  if (attributes[adoptionKey] === undefined) {
    const message = `attribute ${adoptionKey} (the adoption key) is not among the attributes`;
    problems.push({ path: ['adoptionKey'], message });
  }
  if (attributes['login'] !== undefined) {
    problems.push({ path: ['attributes', 'login'], message: 'is configured under accounts.login' });
  }
  if (!isWithin(accounts.container, accounts.base)) {
    problems.push({ path: ['accounts', 'container'], message: 'must lie below accounts.base' });
  }
  if (
    archive !== undefined &&
    (!isWithin(archive.container, accounts.base) || isWithin(archive.container, accounts.container))
  ) {
    const message = 'must lie below accounts.base (an archived account is still found), beside accounts.container';
    problems.push({ path: ['archive', 'container'], message });
  }
  const host = /^ldaps?:\/\/(\[[^\]]*\]|[^:/]*)/.exec(config.url)?.[1] ?? '';
  if (config.tls.mode === 'none' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host)) {
    problems.push({
      path: ['tls', 'mode'],
      message: 'none is for loopback alone: passwords would travel in the clear',
    });
  }
  return problems;
}
