/** An objectGUID's bytes as text; the first three parts are stored with their lowest byte first. */
export function guidText(bytes: Buffer): string | undefined {
  if (bytes.length !== 16) {
    return undefined;
  }
  const part = (from: number, to: number, isReversed: boolean): string => {
    const slice = Buffer.from(bytes.subarray(from, to));
    return (isReversed ? slice.reverse() : slice).toString('hex');
  };
  return [part(0, 4, true), part(4, 6, true), part(6, 8, true), part(8, 10, false), part(10, 16, false)].join('-');
}

/** The bytes of a GUID's text; undefined when it is none. */
export function guidBytes(text: string): Buffer | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    return undefined;
  }
  const [one = '', two = '', three = '', four = '', five = ''] = text.split('-');
  const reversed = [one, two, three].map((part) => Buffer.from(part, 'hex').reverse());
  return Buffer.concat([...reversed, Buffer.from(four, 'hex'), Buffer.from(five, 'hex')]);
}

/** The last part of a SID (the RID), which tells objects of one domain apart. */
export function ridOf(sid: Buffer): number {
  return sid.readUInt32LE(sid.length - 4);
}

/** The SID of another object of the same domain. */
export function sidWithRid(sid: Buffer, rid: number): Buffer {
  const other = Buffer.from(sid);
  other.writeUInt32LE(rid, sid.length - 4);
  return other;
}

const never = [0n, 0x7fffffffffffffffn];

/** True when an instant in 100 ns since 1601 has passed; 0 and the greatest number mean never. */
export function hasPassed(fileTime: string | undefined, nowMs: number): boolean {
  if (fileTime === undefined || !/^\d+$/.test(fileTime)) {
    return false;
  }
  const value = BigInt(fileTime);
  return !never.includes(value) && value <= (BigInt(nowMs) + 11_644_473_600_000n) * 10_000n;
}
