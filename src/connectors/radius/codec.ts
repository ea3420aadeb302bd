/**
 * RADIUS packets (RFC 2865, 3579, 5176, 5997). Of our own: npm's `radius` has seen no release for years and neither sends nor
 * demands a Message-Authenticator, without which an answer can be forged (CVE-2024-3596, "Blast-RADIUS").
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../secret.js';

export const codes = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accessChallenge: 11,
  statusServer: 12,
  disconnectRequest: 40,
  disconnectAck: 41,
  disconnectNak: 42,
} as const;

export const types = {
  userName: 1,
  userPassword: 2,
  nasIpAddress: 4,
  replyMessage: 18,
  nasIdentifier: 32,
  acctSessionId: 44,
  eventTimestamp: 55,
  messageAuthenticator: 80,
  errorCause: 101,
} as const;

export interface Attribute {
  readonly type: number;
  readonly value: Buffer;
}

export interface Packet {
  readonly code: number;
  readonly attributes: readonly Attribute[];
}

/** A request as it leaves, and what its answer is checked against. */
export interface Request {
  readonly bytes: Buffer;
  readonly identifier: number;
  readonly authenticator: Buffer;
}

const headerLength = 20;
const maxLength = 4096;
const maxValue = 253;

/** Throws RangeError when the value does not fit into an attribute. */
export function textAttribute(type: number, text: string): Attribute {
  const value = Buffer.from(text);
  if (value.length === 0 || value.length > maxValue) throw new RangeError('the value does not fit into an attribute');
  return { type, value };
}

/** Four octets, as for an address or a time in seconds. */
export function numberAttribute(type: number, number: number): Attribute {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(number >>> 0);
  return { type, value };
}

/** Hides a password (RFC 2865, 5.2). Throws RangeError beyond 128 octets. */
export function hidePassword(password: string, authenticator: Buffer, secret: Secret): Buffer {
  const plain = Buffer.from(password);
  if (plain.length > 128) throw new RangeError('the password is too long');
  const padded = Buffer.concat([plain, Buffer.alloc(plain.length === 0 ? 16 : (16 - (plain.length % 16)) % 16)]);
  const hidden: Buffer[] = [];
  let previous = authenticator;
  for (let at = 0; at < padded.length; at += 16) {
    const mask = createHash('md5').update(secret.reveal()).update(previous).digest();
    previous = Buffer.from(padded.subarray(at, at + 16).map((octet, index) => octet ^ (mask[index] ?? 0)));
    hidden.push(previous);
  }
  return Buffer.concat(hidden);
}

/** An Access-Request by PAP. The Message-Authenticator comes first, as the counter-measure to CVE-2024-3596 asks. */
export function accessRequest(
  given: { readonly login: string; readonly password: Secret; readonly nasIdentifier: string },
  secret: Secret,
  fresh: { readonly authenticator: Buffer; readonly identifier: number } = random(),
): Request {
  const attributes = [
    textAttribute(types.userName, given.login),
    { type: types.userPassword, value: hidePassword(given.password.reveal(), fresh.authenticator, secret) },
    textAttribute(types.nasIdentifier, given.nasIdentifier),
  ];
  return signed(codes.accessRequest, attributes, secret, fresh);
}

/** Asks a server whether it is there and knows the shared secret (RFC 5997); signs nobody in. */
export function statusServer(secret: Secret, fresh = random()): Request {
  return signed(codes.statusServer, [], secret, fresh);
}

/** A Disconnect-Request (RFC 5176): its authenticator is computed, not random. */
export function disconnectRequest(
  attributes: readonly Attribute[],
  secret: Secret,
  { identifier } = random(),
): Request {
  const { bytes } = signed(codes.disconnectRequest, attributes, secret, {
    authenticator: Buffer.alloc(16),
    identifier,
  });
  const authenticator = createHash('md5').update(bytes).update(secret.reveal()).digest();
  authenticator.copy(bytes, 4);
  return { bytes, identifier, authenticator };
}

function random(): { authenticator: Buffer; identifier: number } {
  const bytes = randomBytes(17);
  return { authenticator: bytes.subarray(0, 16), identifier: bytes[16] ?? 0 };
}

function signed(
  code: number,
  attributes: readonly Attribute[],
  secret: Secret,
  { authenticator, identifier }: { readonly authenticator: Buffer; readonly identifier: number },
): Request {
  const all = [{ type: types.messageAuthenticator, value: Buffer.alloc(16) }, ...attributes];
  const body = Buffer.concat(
    all.map(({ type, value }) => Buffer.concat([Buffer.from([type, value.length + 2]), value])),
  );
  const bytes = Buffer.concat([Buffer.from([code, identifier, 0, 0]), authenticator, body]);
  bytes.writeUInt16BE(bytes.length, 2);
  createHmac('md5', secret.reveal())
    .update(bytes)
    .digest()
    .copy(bytes, headerLength + 2);
  return { bytes, identifier, authenticator };
}

/**
 * Reads an answer to a request. Undefined for everything that is not provably the server's: another identifier, a broken
 * packet, a wrong Response Authenticator, a Message-Authenticator that is wrong or, unless `isOptional`, not there.
 */
export function openAnswer(bytes: Buffer, request: Request, secret: Secret, isOptional = false): Packet | undefined {
  const length = bytes.length < headerLength ? 0 : bytes.readUInt16BE(2);
  if (length < headerLength || length > Math.min(bytes.length, maxLength)) return undefined;
  const packet = bytes.subarray(0, length);
  const code = packet[0] ?? 0;
  const placed = attributesOf(packet);
  if (packet[1] !== request.identifier || placed === undefined) return undefined;
  const asked = Buffer.from(packet);
  request.authenticator.copy(asked, 4);
  const expected = createHash('md5').update(asked).update(secret.reveal()).digest();
  if (!timingSafeEqual(expected, packet.subarray(4, 20))) return undefined;
  const marks = placed.filter(({ type }) => type === types.messageAuthenticator);
  const [mark] = marks;
  if (marks.length > 1 || (mark === undefined && !isOptional)) return undefined;
  if (mark !== undefined) {
    if (mark.value.length !== 16) return undefined;
    asked.fill(0, mark.at, mark.at + 16);
    if (!timingSafeEqual(createHmac('md5', secret.reveal()).update(asked).digest(), mark.value)) return undefined;
  }
  return { code, attributes: placed.map(({ type, value }) => ({ type, value })) };
}

function attributesOf(packet: Buffer): readonly (Attribute & { readonly at: number })[] | undefined {
  const found: (Attribute & { at: number })[] = [];
  for (let at = headerLength; at < packet.length;) {
    const size = packet[at + 1] ?? 0;
    if (size < 2 || at + size > packet.length) return undefined;
    found.push({ type: packet[at] ?? 0, value: Buffer.from(packet.subarray(at + 2, at + size)), at: at + 2 });
    at += size;
  }
  return found;
}
