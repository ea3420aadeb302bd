import type { SecretResolver } from '../../secret.js';
import { HttpClient } from '../../shared/http/client.js';
import { resolveBaseUrl } from '../../shared/http/config.js';
import type { HttpTls } from '../../shared/http/client.js';
import type { Auth } from '../config-auth.js';
import type { Variables } from '../values.js';
import type { Authorizer } from './authorizer.js';
import { createHmacAuth } from './hmac.js';
import { createOAuth } from './oauth.js';

export interface AuthDeps {
  readonly application: string;
  readonly secrets: SecretResolver;
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly values: Variables;
  readonly tls?: HttpTls;
}

/** The authorizer of a configuration; opens no connection. Throws SecretReferenceError and ConnectorConfigError. */
export function createAuthorizer(auth: Auth, deps: AuthDeps): Authorizer {
  const constant = (headers: Readonly<Record<string, string>>): Authorizer => ({
    authorize: () => Promise.resolve({ headers }),
  });
  switch (auth.type) {
    case 'none':
      return constant({});
    case 'bearer': {
      const token = deps.secrets(auth.token);
      return { authorize: () => Promise.resolve({ headers: { authorization: `${auth.scheme} ${token.reveal()}` } }) };
    }
    case 'basic': {
      const password = deps.secrets(auth.password);
      const pair = () => Buffer.from(`${auth.username}:${password.reveal()}`).toString('base64');
      return { authorize: () => Promise.resolve({ headers: { authorization: `Basic ${pair()}` } }) };
    }
    case 'apiKey': {
      const key = deps.secrets(auth.key);
      return {
        authorize: () =>
          Promise.resolve(
            auth.in === 'header'
              ? { headers: { [auth.name.toLowerCase()]: key.reveal() } }
              : { headers: {}, query: [auth.name, key.reveal()] as const },
          ),
      };
    }
    case 'hmac':
      return createHmacAuth(auth, deps.secrets(auth.key), deps.values);
    case 'oauth2-client-credentials':
    case 'oauth2-refresh-token':
      return createOAuthOf(auth, deps);
  }
}

type OAuthConfig = Extract<Auth, { type: 'oauth2-client-credentials' | 'oauth2-refresh-token' }>;

function createOAuthOf(auth: OAuthConfig, deps: AuthDeps): Authorizer {
  const { application, secrets, baseUrl, timeoutMs, tls } = deps;
  const tokenUrl = resolveBaseUrl(application, auth.tokenUrl, secrets);
  // What is pinned for the target holds for the target alone.
  const isSame = new URL(tokenUrl).origin === new URL(baseUrl).origin;
  const http = new HttpClient({ timeoutMs, connections: 1, ...(isSame && tls !== undefined ? { tls } : {}) });
  const { scope, audience, clientSecret } = auth;
  const options = {
    tokenUrl,
    clientId: auth.clientId,
    clientAuth: auth.clientAuth,
    parameters: { ...(scope === undefined ? {} : { scope }), ...(audience === undefined ? {} : { audience }) },
    ...(clientSecret === undefined ? {} : { clientSecret: secrets(clientSecret) }),
    ...(auth.type === 'oauth2-refresh-token' ? { refreshToken: secrets(auth.refreshToken) } : {}),
  };
  return createOAuth(options, http);
}
