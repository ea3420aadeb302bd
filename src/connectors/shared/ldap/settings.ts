import type { Secret, SecretResolver } from '../../secret.js';
import type { ConnectionSettings } from './connections.js';

/** The connection part of a parsed configuration. */
export interface ConnectionConfig {
  readonly url: string;
  readonly tls: {
    readonly mode: 'auto' | 'none';
    readonly ca?: string | undefined;
    readonly fingerprint?: string | undefined;
    readonly clientCertificate?: { readonly cert: string; readonly key: string } | undefined;
  };
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  readonly searchPageSize: number;
}

/** Resolves the references of a connection. Throws SecretReferenceError. */
export function connectionSettings(
  config: ConnectionConfig,
  secrets: SecretResolver,
  more: Pick<ConnectionSettings, 'referrals' | 'binaryAttributes'> & {
    readonly bind: { readonly name: string; readonly password: Secret } | undefined;
  },
): ConnectionSettings {
  const { url, tls } = config;
  const { clientCertificate } = tls;
  return {
    url,
    mode: tls.mode === 'none' ? 'none' : url.startsWith('ldaps:') ? 'ldaps' : 'starttls',
    ca: tls.ca === undefined ? undefined : secrets(tls.ca).reveal(),
    fingerprint: tls.fingerprint?.replaceAll(':', '').toUpperCase(),
    clientCertificate:
      clientCertificate === undefined
        ? undefined
        : { cert: secrets(clientCertificate.cert).reveal(), key: secrets(clientCertificate.key) },
    requestTimeoutMs: config.requestTimeoutMs,
    maxConnections: config.maxConnections,
    searchPageSize: config.searchPageSize,
    ...more,
  };
}
