import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { isSecretReference, REFERENCE_FORMS } from '../domain/policy/secret-reference.js';

export { isSecretReference } from '../domain/policy/secret-reference.js';

const redacted = '[secret]';

/**
 * A value that must never be seen. Printing, JSON, template strings and the inspector all show `[secret]`; only
 * `reveal()` gives the value, and only the code that hands it to a target calls it.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it at the last moment, at the edge of the target's client. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [Symbol.toPrimitive](): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }

  /** A new random secret of 32 characters that passes usual complexity rules (upper, lower, digit, other). */
  static random(): Secret {
    return new Secret(`Aa1-${randomBytes(21).toString('base64url')}`);
  }
}

/** Stands in for a secret where a connector is only asked what it can do. Addresses may be references, too, so it has the form of one. */
export const SECRET_STAND_IN = new Secret('https://never-used.invalid');

/** Takes a credential for its owner and gives a reference that may be stored and shown. */
export interface SecretSink {
  put(secret: Secret): Promise<{ readonly reference: string }>;
}

/** Turns a reference from policy (`env:NAME`, `file:PATH`, `vault:MOUNT/PATH#FIELD`) into the secret; throws SecretReferenceError. */
export type SecretResolver = (reference: string) => Secret;

/** Thrown when a secret reference cannot be resolved. Names the reference and why, never a value. */
export class SecretReferenceError extends Error {
  readonly reference: string;
  readonly problem: string;
  /** True where the secret may be there and its keeper cannot be asked now: a repeat may succeed without anybody's help. */
  readonly temporary: boolean;

  constructor(reference: string, problem: string, temporary = false) {
    super(`secret reference ${reference}: ${problem}`);
    this.name = 'SecretReferenceError';
    this.reference = reference;
    this.problem = problem;
    this.temporary = temporary;
  }
}

/**
 * Resolves `env:NAME` from the given environment, or `file:PATH` (one trailing line break is dropped). Pure but for
 * the file read; safe to repeat. Throws SecretReferenceError when the form is wrong, or the value missing or empty, and for
 * `vault:`, which a secret store answers (secret-store.ts).
 */
export function resolveSecret(reference: string, env: Readonly<Record<string, string | undefined>>): Secret {
  if (!isSecretReference(reference)) {
    // A value pasted where a reference belongs must not be echoed.
    throw new SecretReferenceError('(not a reference)', `expected ${REFERENCE_FORMS}`);
  }
  if (reference.startsWith('env:')) {
    const value = env[reference.slice('env:'.length)];
    if (value === undefined || value === '') {
      throw new SecretReferenceError(reference, 'the variable is not set');
    }
    return new Secret(value);
  }
  if (reference.startsWith('vault:')) throw new SecretReferenceError(reference, 'no Vault is read here');
  return new Secret(readSecretFile(reference, reference.slice('file:'.length)));
}

function readSecretFile(reference: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new SecretReferenceError(reference, 'the file cannot be read');
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') {
    throw new SecretReferenceError(reference, 'the file is empty');
  }
  return value;
}

/** A resolver bound to one environment, to be handed to connectors by a composition root. */
export function createSecretResolver(env: Readonly<Record<string, string | undefined>>): SecretResolver {
  return (reference) => resolveSecret(reference, env);
}
