import { z } from 'zod';
import { REFERENCE_FORMS } from '../../../domain/policy/secret-reference.js';
import { isSecretReference } from '../../secret.js';
import { secretReference } from '../secret-reference.js';
import type { SecretResolver } from '../../secret.js';
import type { HttpTls } from './client.js';
import { baseUrlOf } from './guard.js';

export { secretReference };

export const urlOrReference = z
  .string()
  .refine(
    (text) => isSecretReference(text) || /^https?:$/.test(URL.parse(text)?.protocol ?? ''),
    `must be an http(s) URL or a reference, ${REFERENCE_FORMS}`,
  );

/** Parts of a configuration that every target spoken to by HTTP has: a path on the server of the base URL, starting with a slash. */
export const serverPath = z.string().regex(/^\/[^\s?#]*$/, 'must be a path that starts with a slash');

export const httpTls = z.strictObject({
  /** PEM of the certificate authority; when given, no other is trusted. */
  ca: secretReference.optional(),
  /** SHA-256 of the server's own certificate, in hexadecimal. */
  fingerprint: z
    .string()
    .regex(/^([0-9A-Fa-f]{2}:?){32}$/, 'must be a SHA-256 fingerprint')
    .optional(),
  /** For mutual TLS. */
  clientCertificate: z.strictObject({ cert: secretReference, key: secretReference }).optional(),
});

/** The base of a target's URLs, written in the configuration or in what it refers to. Throws ConnectorConfigError, SecretReferenceError. */
export function resolveBaseUrl(application: string, named: string, secrets: SecretResolver): string {
  return baseUrlOf(application, isSecretReference(named) ? secrets(named).reveal() : named);
}

/** What an application's `tls` block means; throws SecretReferenceError. */
export function resolveTls(tls: z.infer<typeof httpTls> | undefined, secrets: SecretResolver): HttpTls | undefined {
  if (tls === undefined) return undefined;
  const { ca, fingerprint, clientCertificate } = tls;
  const text = (reference: string): string => secrets(reference).reveal();
  return {
    ...(ca === undefined ? {} : { ca: text(ca) }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(clientCertificate === undefined
      ? {}
      : { clientCertificate: { cert: text(clientCertificate.cert), key: text(clientCertificate.key) } }),
  };
}
