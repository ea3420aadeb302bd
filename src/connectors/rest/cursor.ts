import { ConnectorError } from '../errors.js';
import type { Position } from './pages.js';

export function encodeCursor(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** Reads a cursor back; undefined for the beginning. Throws INVALID for one that this connector did not make. */
export function decodeCursor(cursor: string | undefined, operation: string): Position | undefined {
  if (cursor === undefined) return undefined;
  try {
    const position = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as Position;
    if (Number.isInteger(position.index) && position.index >= 0) return position;
  } catch {
    // Falls through to the one error below.
  }
  throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'cursor' });
}
