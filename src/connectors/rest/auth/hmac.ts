import { createHash, createHmac, randomUUID } from 'node:crypto';
import { ConnectorError } from '../../errors.js';
import type { Secret } from '../../secret.js';
import type { HttpCall } from '../../shared/http/client.js';
import type { Auth } from '../config-auth.js';
import { ExpressionError } from '../expressions.js';
import type { Place } from '../expressions.js';
import { places } from '../places.js';
import { asText } from '../values.js';
import type { Variables } from '../values.js';
import type { Authorizer } from '../../shared/http/authorizer.js';

type HmacConfig = Extract<Auth, { type: 'hmac' }>;

/** Signs each request (RFC 2104) over a text that the configuration puts together from the request's own parts, made anew for every call. */
export function createHmacAuth(config: HmacConfig, key: Secret, values: Variables): Authorizer {
  return {
    authorize: (call) => {
      const now = Date.now();
      const stamp = {
        values,
        keyId: config.keyId,
        nonce: randomUUID(),
        timestamp: new Date(now).toISOString(),
        epochSeconds: String(Math.floor(now / 1000)),
      };
      const canonical = evaluate(places.signature, config.canonical, { ...stamp, ...partsOf(call) }, call) ?? '';
      const signature = createHmac(config.algorithm, key.reveal()).update(canonical).digest(config.encoding);
      const headers: Record<string, string> = {};
      for (const [name, source] of Object.entries(config.headers)) {
        const value = evaluate(places.signed, source, { ...stamp, signature }, call);
        if (value !== undefined) headers[name.toLowerCase()] = value;
      }
      return Promise.resolve({ headers });
    },
  };
}

function partsOf(call: HttpCall): Variables {
  const url = new URL(call.url);
  // The same text that the client sends.
  const body = call.body === undefined ? '' : typeof call.body === 'string' ? call.body : JSON.stringify(call.body);
  return {
    method: call.method,
    host: url.host,
    path: url.pathname,
    query: url.search.slice(1),
    body,
    bodySha256: createHash('sha256').update(body).digest('hex'),
  };
}

function evaluate(place: Place, source: string, variables: Variables, call: HttpCall): string | undefined {
  try {
    return asText(place.run(source, variables));
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const targetCode = `expression:${error.code}`;
    throw new ConnectorError({
      code: 'INVALID',
      operation: call.operation,
      sent: false,
      attribute: 'auth',
      targetCode,
    });
  }
}
