/**
 * A value inside a DN. Everything that could mean something there is written in hexadecimal, so that no character
 * of a value (not even a backslash before a comma) is ever read as syntax.
 */
export function escapeRdnValue(value: string): string {
  const last = value.length - 1;
  return [...value]
    .map((character, index) => {
      const edge = character === ' ' && (index === 0 || index === last);
      return edge || /[\u0000-\u001f\u007f"#+,;<=>\\]/.test(character) ? hex(character) : character;
    })
    .join('');
}

function hex(character: string): string {
  return [...Buffer.from(character)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Attribute and value joined to an RDN. */
export function rdn(attribute: string, value: string): string {
  return `${attribute}=${escapeRdnValue(value)}`;
}

/** The first RDN of a DN and what is above it. */
export function splitDn(dn: string): { readonly first: string; readonly parent: string } {
  for (let index = 0; index < dn.length; index += 1) {
    if (dn[index] === '\\') {
      index += 1;
    } else if (dn[index] === ',') {
      return { first: dn.slice(0, index), parent: dn.slice(index + 1).trimStart() };
    }
  }
  return { first: dn, parent: '' };
}

/** The value of a DN's first RDN, without its escapes. */
export function rdnValue(dn: string): string {
  const { first } = splitDn(dn);
  const raw = first.slice(first.indexOf('=') + 1);
  const bytes: Buffer[] = [];
  for (const [whole, escaped, plain] of raw.matchAll(/\\([0-9a-fA-F]{2})|\\?([^\\])/gsu)) {
    bytes.push(escaped === undefined ? Buffer.from(plain ?? whole) : Buffer.from(escaped, 'hex'));
  }
  return Buffer.concat(bytes).toString('utf8');
}

/** True when the DN is the container itself or lies anywhere below it. */
export function isWithin(dn: string, container: string): boolean {
  const [inner, outer] = [comparable(dn), comparable(container)];
  return inner === outer || inner.endsWith(`,${outer}`);
}

/** True when both name the same entry, as far as text tells (case and blanks between RDNs do not count). */
export function isSameDn(left: string, right: string): boolean {
  return comparable(left) === comparable(right);
}

function comparable(dn: string): string {
  const parts: string[] = [];
  for (let rest = dn; rest !== '';) {
    const { first, parent } = splitDn(rest);
    parts.push(`${first.slice(0, first.indexOf('=')).trim()}=${escapeRdnValue(rdnValue(first).trim())}`.toLowerCase());
    rest = parent;
  }
  return parts.join(',');
}
