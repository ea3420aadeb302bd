import type { OperationContext } from '../../connector.js';
import { isConnectorError } from '../../errors.js';
import type { SecretResolver } from '../../secret.js';
import { Secret } from '../../secret.js';
import { createVaultClient } from './client.js';
import type { VaultClient, VaultCredential } from './client.js';
import { createKeyValueReader } from './key-value.js';
import type { KeyValueReader } from './key-value.js';

/** Where Tenure's own Vault is and how Tenure signs in there. Secrets are references, `env:` or `file:`, read anew for each sign-in. */
export interface VaultLogin {
  /** An https URL; http on loopback alone. */
  readonly address: string;
  readonly namespace?: string | undefined;
  /** PEM of the certificate authority; when given, no other is trusted. */
  readonly ca?: string | undefined;
  readonly login:
    | { readonly how: 'token'; readonly token: string }
    | { readonly how: 'approle'; readonly roleId: string; readonly secretId: string; readonly mount: string }
    | { readonly how: 'jwt'; readonly role: string; readonly jwt: string; readonly mount: string };
}

/** What reading one path gave: its text fields, or why not. */
export type VaultReading =
  { readonly fields: ReadonlyMap<string, Secret> } | { readonly problem: string; readonly temporary: boolean };

export interface VaultSecretReader {
  /** Reads the secret at a path (mount included). Never throws. */
  read(path: string, ctx: OperationContext): Promise<VaultReading>;
  close(): Promise<void>;
}

/**
 * Reads secrets with Tenure's own sign-in. Where Vault does not know that any more, it signs in anew from its references (an agent may have written another
 * token) and reads once more; a Vault that is away, sealed, or refuses the sign-in is a temporary problem.
 */
export function createVaultSecretReader(
  login: VaultLogin,
  secrets: SecretResolver,
  timeoutMs: number,
): VaultSecretReader {
  let session: { readonly client: VaultClient; readonly reader: KeyValueReader } | undefined;
  const open = (): { readonly client: VaultClient; readonly reader: KeyValueReader } => {
    const client = createVaultClient({
      address: login.address.replace(/\/+$/, ''),
      namespace: login.namespace,
      credential: credentialOf(login, secrets),
      tls: login.ca === undefined ? undefined : { ca: secrets(login.ca).reveal() },
      timeoutMs,
    });
    return { client, reader: createKeyValueReader(client) };
  };
  const once = async (path: string, ctx: OperationContext): Promise<VaultReading> => {
    session ??= open();
    const found = await session.reader.read(path, ctx);
    if ('problem' in found) return { problem: found.problem, temporary: false };
    const texts = Object.entries(found.fields).flatMap(([name, value]): [string, Secret][] =>
      typeof value === 'string' || typeof value === 'number' ? [[name, new Secret(String(value))]] : [],
    );
    return { fields: new Map(texts) };
  };
  const forget = async (): Promise<void> => {
    const old = session;
    session = undefined;
    await old?.client.close();
  };
  return {
    async read(path, ctx) {
      try {
        return await once(path, ctx);
      } catch (error) {
        if (!isConnectorError(error) || error.code !== 'UNAUTHENTICATED') return troubleOf(error);
      }
      try {
        // Not awaited: closing waits for what others are reading.
        void forget().catch(() => undefined);
        return await once(path, ctx);
      } catch (error) {
        return troubleOf(error);
      }
    },
    close: forget,
  };
}

function credentialOf({ login }: VaultLogin, secrets: SecretResolver): VaultCredential {
  switch (login.how) {
    case 'token':
      return { how: 'token', token: secrets(login.token) };
    case 'approle':
      return { ...login, roleId: secrets(login.roleId), secretId: secrets(login.secretId) };
    case 'jwt':
      return { ...login, jwt: secrets(login.jwt) };
  }
}

/** What a failure means for whoever waits for the secret. Codes only: a client library's text may hold anything. */
function troubleOf(error: unknown): { readonly problem: string; readonly temporary: boolean } {
  if (error instanceof Error && error.name === 'SecretReferenceError')
    return { problem: `Tenure cannot sign in to Vault: ${error.message}`, temporary: true };
  if (!isConnectorError(error)) return { problem: 'Vault could not be asked', temporary: true };
  const code = error.targetCode === undefined ? error.code : `${error.code}/${error.targetCode}`;
  switch (error.code) {
    case 'UNAUTHENTICATED':
      return { problem: `Vault does not accept Tenure's own sign-in (${code})`, temporary: true };
    case 'FORBIDDEN':
      return {
        problem: `Tenure may not read this path in Vault, or there is no such mount (${code})`,
        temporary: false,
      };
    case 'NOT_FOUND':
    case 'INVALID':
    case 'UNSUPPORTED':
      return { problem: `Vault does not take this path (${code})`, temporary: false };
    default:
      return { problem: `Vault cannot be reached, or does not answer (${code})`, temporary: true };
  }
}
