import { isIP } from 'node:net';
import { ConnectorConfigError } from '../../errors.js';
import type { SecretResolver } from '../../secret.js';
import { Secret } from '../../secret.js';
import type { SqlConnectionConfig } from './connection.js';
import { dialects } from './dialects/index.js';

export interface TlsTarget {
  /** PEM; when given, no other authority is trusted. */
  readonly ca: string | undefined;
  readonly clientCertificate: { readonly cert: string; readonly key: Secret } | undefined;
}

/** Where the database is and as whom to sign in. */
export interface SqlTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: Secret;
  /** Undefined: in the clear, which is for loopback alone. */
  readonly tls: TlsTarget | undefined;
}

/**
 * Reads the connection URL. TLS is on, its certificate and name checked, unless the host is loopback or `tls.mode` is
 * `none`. Throws ConnectorConfigError, which never holds a part of the URL, and SecretReferenceError.
 */
export function targetOf(application: string, config: SqlConnectionConfig, secrets: SecretResolver): SqlTarget {
  const problem = (text: string): ConnectorConfigError => new ConnectorConfigError(application, [`url: ${text}`]);
  const revealed = secrets(config.url).reveal();
  if (!URL.canParse(revealed)) {
    throw problem('what the reference gives is not a URL');
  }
  const url = new URL(revealed);
  const host = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '');
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  const { mode, ca, clientCertificate } = config.tls;
  const asked = ca !== undefined || clientCertificate !== undefined || /sslmode=(require|verify)/.test(url.search);
  const usesTls = mode === 'none' ? false : asked || !isLoopback;
  if (!usesTls && !isLoopback) {
    throw new ConnectorConfigError(application, [
      'tls.mode: none is for loopback alone: passwords would travel in the clear',
    ]);
  }
  if (usesTls && !isLoopback && isIP(host) !== 0 && config.dialect !== 'postgres') {
    throw problem('with TLS the host must be a name: this driver checks no address against a certificate');
  }
  return {
    host,
    port: url.port === '' ? dialects[config.dialect].defaultPort : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
    user: decodeURIComponent(url.username),
    password: new Secret(decodeURIComponent(url.password)),
    tls: usesTls
      ? {
          ca: ca === undefined ? undefined : secrets(ca).reveal(),
          clientCertificate:
            clientCertificate === undefined
              ? undefined
              : { cert: secrets(clientCertificate.cert).reveal(), key: secrets(clientCertificate.key) },
        }
      : undefined,
  };
}
