import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const iterations = 4096;

/** A SCRAM-SHA-256 verifier as Postgres stores it (RFC 5803, RFC 7677). */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const salted = await promisify(pbkdf2)(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/**
 * The hash of `mysql_native_password`: `*` and SHA-1 of SHA-1. It has no salt, so it is only as strong as the password:
 * Tenure's are random.
 */
export function nativePasswordHash(password: string): Promise<string> {
  const once = createHash('sha1').update(password).digest();
  return Promise.resolve(`*${createHash('sha1').update(once).digest('hex').toUpperCase()}`);
}
