import { ConnectorError } from '../errors.js';

/** Refuses every object class but accounts, as UNSUPPORTED. */
export function requireAccount(objectClass: string, operation: string): void {
  if (objectClass !== 'account') throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
}
