import type { Authorizer } from '../../shared/http/authorizer.js';
import { createOAuthOf } from '../../shared/http/oauth-config.js';
import type { OAuthDeps } from '../../shared/http/oauth-config.js';
import type { Auth } from '../config-auth.js';
import type { Variables } from '../values.js';
import { createHmacAuth } from './hmac.js';

export interface AuthDeps extends OAuthDeps {
  readonly values: Variables;
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
