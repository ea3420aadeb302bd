import { z } from 'zod';
import type { SecretResolver } from '../../secret.js';
import type { Authorizer } from './authorizer.js';
import { HttpClient } from './client.js';
import type { HttpTls } from './client.js';
import { resolveBaseUrl, secretReference, urlOrReference } from './config.js';
import { createOAuth } from './oauth.js';

const oauth = {
  /** May be at another origin: it is configured, not named by an answer. */
  tokenUrl: urlOrReference,
  clientId: z.string().min(1),
  scope: z.string().optional(),
  audience: z.string().optional(),
  /** How the client names itself to the token endpoint (RFC 6749, 2.3.1). */
  clientAuth: z.enum(['basic', 'body']).default('basic'),
};

/** RFC 6749, 4.4 */
export const clientCredentials = z.strictObject({
  type: z.literal('oauth2-client-credentials'),
  ...oauth,
  clientSecret: secretReference,
});

/** RFC 6749, 6 */
export const refreshTokenGrant = z.strictObject({
  type: z.literal('oauth2-refresh-token'),
  ...oauth,
  clientSecret: secretReference.optional(),
  refreshToken: secretReference,
});

export type OAuthConfig = z.infer<typeof clientCredentials> | z.infer<typeof refreshTokenGrant>;

export interface OAuthDeps {
  readonly application: string;
  readonly secrets: SecretResolver;
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly tls?: HttpTls;
}

/** The authorizer of a configuration, with a connection of its own to the token endpoint. Throws SecretReferenceError and ConnectorConfigError. */
export function createOAuthOf(auth: OAuthConfig, deps: OAuthDeps): Authorizer {
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
