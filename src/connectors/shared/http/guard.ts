import { lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { ConnectorConfigError, ConnectorError } from '../../errors.js';

/**
 * Addresses at which no target is: link-local ones (the metadata services of clouds), multicast, and "this network". Private networks and loopback are
 * where on-premises targets live; that nobody is led there from outside is what `sameOrigin` is for.
 */
const forbidden = new BlockList();
forbidden.addSubnet('169.254.0.0', 16, 'ipv4');
forbidden.addSubnet('0.0.0.0', 8, 'ipv4');
forbidden.addSubnet('224.0.0.0', 3, 'ipv4');
forbidden.addAddress('100.100.100.200', 'ipv4');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addSubnet('ff00::', 8, 'ipv6');
forbidden.addAddress('::', 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6');

export function isForbiddenAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && forbidden.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Resolves a name and refuses an address at which no target is, at the moment of connecting: a name that changes later is caught, too. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, '');
      return;
    }
    const refused = addresses.some(({ address }) => isForbiddenAddress(address));
    const [first] = addresses;
    if (refused || first === undefined) {
      callback(Object.assign(new Error('address refused'), { code: 'EADDRREFUSED' }), '');
    } else if (options.all === true) {
      callback(null, addresses);
    } else {
      callback(null, first.address, first.family);
    }
  });
};

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The base of a target's URLs, without a trailing slash. Unencrypted HTTP is for loopback alone. Throws ConnectorConfigError. */
export function baseUrlOf(application: string, text: string): string {
  const url = URL.parse(text);
  const wrong = (problem: string): ConnectorConfigError => new ConnectorConfigError(application, [problem]);
  if (url === null || !/^https?:$/.test(url.protocol)) throw wrong('the base URL must be an https URL');
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw wrong('the base URL must be https: only a target on this machine may be spoken to unencrypted');
  if (url.username !== '' || url.password !== '') throw wrong('the base URL must not hold a password');
  if (isForbiddenAddress(url.hostname.replace(/^\[|\]$/g, ''))) throw wrong('no target can be at that address');
  return text.replace(/\/+$/, '');
}

/**
 * A URL that a target's answer names (the next page, the state of a job), taken only when it stays at the target: whoever can write an answer must not be
 * able to send Tenure, with its credential, elsewhere (SSRF). Raises FORBIDDEN.
 */
export function sameOrigin(base: string, named: string, operation: string): string {
  const url = URL.parse(named, `${base}/`);
  if (url === null || url.origin !== new URL(base).origin) {
    throw new ConnectorError({ code: 'FORBIDDEN', operation, sent: false, targetCode: 'other-origin' });
  }
  return url.href;
}
