import type { Secret } from '../secret.js';
import { codeOfStatus } from '../shared/http/classify.js';
import { HttpClient } from '../shared/http/client.js';
import type { HttpAnswer, HttpTls } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';

/** The HTTP side of one SCIM server: its media type, its bearer token, and its error types (RFC 7644, 3.12). */
export function createScimHttp(token: Secret, timeoutMs: number, tls?: HttpTls): HttpClient {
  return new HttpClient({
    timeoutMs,
    ...(tls === undefined ? {} : { tls }),
    headers: { accept: 'application/scim+json, application/json', 'content-type': 'application/scim+json' },
    authorize: () => Promise.resolve({ authorization: `Bearer ${token.reveal()}` }),
    classify: (call, answer) => {
      const scimType = scimTypeOf(answer);
      const code = scimType === 'uniqueness' ? 'ALREADY_EXISTS' : codeOfStatus(call, answer.status);
      return { code, targetCode: `http-${answer.status}${scimType === undefined ? '' : ` ${scimType}`}` };
    },
  });
}

function scimTypeOf(answer: HttpAnswer): string | undefined {
  const scimType = asObject(answer.body)['scimType'];
  return typeof scimType === 'string' && /^[a-zA-Z]{1,30}$/.test(scimType) ? scimType : undefined;
}
