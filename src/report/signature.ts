import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FlattenedSign, calculateJwkThumbprint, flattenedVerify, importJWK } from 'jose';
import { z } from 'zod';
import { terminationReportSchema } from './types.js';
import type { TerminationReport } from './types.js';

const ALGORITHM = 'EdDSA';
const TYPE = 'tenure-report+jws';

const publicKeySchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() });
/** A public key as everybody may have it (RFC 8037). */
export type PublicKey = z.output<typeof publicKeySchema>;
export const publicKeysSchema = z.object({ keys: z.array(publicKeySchema) });
export type PublicKeys = z.output<typeof publicKeysSchema>;

const signedSchema = z.strictObject({ payload: z.string(), signature: z.string(), protected: z.string() });

/** What signs reports: it shows its public half only. */
export interface ReportSigner {
  readonly publicKey: PublicKey;
  /** A flattened JWS (RFC 7515), one line. */
  sign(report: TerminationReport): Promise<string>;
}

/** A report that is not what was signed, or not signed by a key that is known. */
export class ReportSignatureError extends Error {
  override readonly name = 'ReportSignatureError';
}

/** A new Ed25519 key as PKCS 8 PEM. */
export function newSigningKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The public half of a signing key, for those who verify. Throws when the text is no Ed25519 key in PEM. */
export async function publicKeyOf(pem: string): Promise<PublicKey> {
  const { x } = createPublicKey(signingKey(pem)).export({ format: 'jwk' });
  const jwk = { kty: 'OKP' as const, crv: 'Ed25519' as const, x: x ?? '' };
  return { ...jwk, kid: await calculateJwkThumbprint(jwk) };
}

/** A signer for a key given as PKCS 8 PEM. Throws when it is no Ed25519 key; the message does not repeat the text. */
export async function reportSigner(pem: string): Promise<ReportSigner> {
  const key = signingKey(pem);
  const publicKey = await publicKeyOf(pem);
  return {
    publicKey,
    async sign(report) {
      const {
        payload,
        signature,
        protected: header,
      } = await new FlattenedSign(Buffer.from(JSON.stringify(report)))
        .setProtectedHeader({ alg: ALGORITHM, kid: publicKey.kid, typ: TYPE })
        .sign(key);
      return signedText({ payload, signature, protected: header ?? '' });
    },
  };
}

function signingKey(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    key = undefined;
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw new Error('the signing key must be an Ed25519 key in PEM (PKCS 8)');
  return key;
}

/** The one way in which a signed report is written: any other byte, also one that a decoder would overlook, is a change. */
function signedText({ payload, signature, protected: header }: z.output<typeof signedSchema>): string {
  return `${JSON.stringify({ payload, signature, protected: header })}\n`;
}

/**
 * The report behind a signed text, with public keys alone. Raises ReportSignatureError for any change, an unknown key or another kind of document; what is
 * returned is exactly what was signed.
 */
export async function verifyReport(
  text: string,
  { keys }: PublicKeys,
): Promise<{ readonly report: TerminationReport; readonly keyId: string }> {
  const signed = parsedBy(signedSchema, text);
  if (signed === undefined || signedText(signed) !== text || !isCanonical(signed))
    throw new ReportSignatureError('This is no signed report, or its text was changed.');
  const { kid, typ } = headerOf(signed.protected);
  const key = keys.find((one) => one.kid === kid);
  if (key === undefined || typ !== TYPE)
    throw new ReportSignatureError('The report is signed by a key that is not known here.');
  const payload = await verified(signed, key);
  const report = parsedBy(terminationReportSchema, payload);
  if (report === undefined) throw new ReportSignatureError('What was signed is no termination report.');
  return { report, keyId: key.kid };
}

async function verified(signed: z.output<typeof signedSchema>, key: PublicKey): Promise<string> {
  try {
    const { payload } = await flattenedVerify(signed, await importJWK(key, ALGORITHM), { algorithms: [ALGORITHM] });
    return Buffer.from(payload).toString();
  } catch {
    throw new ReportSignatureError('The signature does not fit: the report was changed after it was signed.');
  }
}

/** The report inside a signed text, whoever signed it; undefined when it is none. For showing only. */
export function unverifiedReport(text: string): TerminationReport | undefined {
  const signed = parsedBy(signedSchema, text);
  return signed === undefined
    ? undefined
    : parsedBy(terminationReportSchema, Buffer.from(signed.payload, 'base64url').toString());
}

/** Base64url has several texts for the same bytes; only one of them was written. */
function isCanonical(signed: z.output<typeof signedSchema>): boolean {
  return Object.values(signed).every((text) => Buffer.from(text, 'base64url').toString('base64url') === text);
}

function headerOf(text: string): { readonly kid?: string | undefined; readonly typ?: string | undefined } {
  const schema = z.object({ kid: z.string(), typ: z.string() });
  return parsedBy(schema, Buffer.from(text, 'base64url').toString()) ?? {};
}

function parsedBy<S extends z.ZodType>(schema: S, text: string): z.output<S> | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
