/** The forms of a reference to a secret, and what is wrong with one that looks like it. Pure: nothing is resolved here. */

/** The three forms, for messages. */
export const REFERENCE_FORMS = 'env:NAME, file:PATH or vault:MOUNT/PATH#FIELD';

/** A field of a secret in Vault's key-value store. */
export interface VaultReference {
  /** Mount and path below it, as `vault kv get` takes them: where the mount ends is for Vault to say. */
  readonly path: string;
  readonly field: string;
}

const PART = /^[\w@:~.-]+$/;
const FIELD = /^[\w.-]+$/;

/** Reads `vault:MOUNT/PATH#FIELD`; text is the problem with it. */
function readVaultReference(text: string): VaultReference | string {
  const rest = text.slice('vault:'.length);
  const hash = rest.indexOf('#');
  if (hash < 0) return 'the field is missing (#FIELD)';
  const [path, field] = [rest.slice(0, hash), rest.slice(hash + 1)];
  if (!FIELD.test(field)) return 'the field after # is empty or has characters other than letters, digits, _ . -';
  if (path.startsWith('/')) return 'the mount comes first, without a slash before it';
  const parts = path.split('/');
  if (parts.length < 2) return 'mount and path are needed, with a slash between them';
  const isWrong = (part: string): boolean => !PART.test(part) || part === '.' || part === '..';
  return parts.some(isWrong)
    ? 'a part of the path is empty or has characters other than letters, digits, _ . - @ : ~'
    : { path, field };
}

/** The path and field of a well-formed `vault:` reference. */
export function parseVaultReference(text: string): VaultReference | undefined {
  const read = text.startsWith('vault:') ? readVaultReference(text) : 'another form';
  return typeof read === 'string' ? undefined : read;
}

/** What is wrong with text that begins like a `vault:` reference; undefined for every other text. Never repeats the text. */
export function vaultReferenceProblem(text: string): string | undefined {
  const read = text.startsWith('vault:') ? readVaultReference(text) : undefined;
  return typeof read === 'string' ? `a vault: reference of the wrong form: ${read}` : undefined;
}

/** True for text that has the form of a secret reference. */
export function isSecretReference(text: string): boolean {
  return /^env:[A-Za-z_][A-Za-z0-9_]*$/.test(text) || /^file:.+$/.test(text) || parseVaultReference(text) !== undefined;
}

/** Every well-formed `vault:` reference in a configuration, once. */
export function vaultReferencesIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return parseVaultReference(value) === undefined ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  return [...new Set(Object.values(value).flatMap(vaultReferencesIn))];
}
