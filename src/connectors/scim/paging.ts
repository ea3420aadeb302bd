import { ConnectorError } from '../errors.js';

/** Where a list goes on: a position, or the server's own token. */
export interface PagePosition {
  readonly index: number;
  readonly token?: string;
  /** The id of the last resource seen: it is asked for again, to notice that positions have moved. */
  readonly last?: string;
  /** For lists that come whole: how many there were at the first page. */
  readonly total?: number;
  readonly shifted?: boolean;
}

export function encodeCursor(position: PagePosition): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** Reads a cursor back; absent = the beginning. Throws INVALID for one that this connector did not make. */
export function decodeCursor(cursor: string | undefined, operation: string): PagePosition {
  if (cursor === undefined) {
    return { index: 1 };
  }
  try {
    const position = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as PagePosition;
    if (Number.isInteger(position.index) && position.index > 0) {
      return position;
    }
  } catch {
    // Falls through to the one error below.
  }
  throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'cursor' });
}
