import iconv from 'iconv-lite';

export const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const;
export type Encoding = (typeof ENCODINGS)[number];

export type CsvFault =
  | 'too-large'
  | 'not-text'
  | 'not-in-encoding'
  | 'workbook'
  | 'empty'
  | 'too-many-rows'
  | 'too-many-columns'
  | 'row-too-large'
  | 'quote-not-closed'
  | 'header-missing'
  | 'header-twice'
  | 'column-missing';

/** The file as a whole cannot be taken: nothing of it was imported. The message names places and headers, never a cell. */
export class CsvFileError extends Error {
  override readonly name = 'CsvFileError';
  readonly code: CsvFault;
  constructor(code: CsvFault, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Turns a file's bytes into text. `auto`: the byte order mark decides, then the pattern of zero bytes (UTF-16 without a mark), then whether the
 * bytes are valid UTF-8; anything else is Windows-1252, in which every export of the last thirty years can be read.
 * @throws CsvFileError for a workbook, binary data, or bytes that are not in a named encoding.
 */
export function decodeText(
  bytes: Uint8Array,
  wanted: Encoding | 'auto',
): { readonly text: string; readonly encoding: Encoding } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.subarray(0, 4).equals(Buffer.from('PK\u0003\u0004')))
    throw new CsvFileError(
      'workbook',
      'This is a workbook (xlsx, ods) and not a CSV file: save it as CSV and import that.',
    );
  const encoding = wanted === 'auto' ? detect(buffer) : wanted;
  const text = iconv.decode(buffer, encoding, { stripBOM: true });
  if (wanted === 'utf-8' && !isUtf8(buffer))
    throw new CsvFileError(
      'not-in-encoding',
      'The file is not in UTF-8 as the mapping says; leave `encoding` out or name another one.',
    );
  if (text.includes('\0')) throw new CsvFileError('not-text', 'The file is not text: it holds zero bytes.');
  return { text, encoding };
}

const SAMPLE = 4096;

function detect(buffer: Buffer): Encoding {
  if (buffer[0] === 0xff && buffer[1] === 0xfe) return 'utf-16le';
  if (buffer[0] === 0xfe && buffer[1] === 0xff) return 'utf-16be';
  const sample = buffer.subarray(0, SAMPLE);
  const [even, odd] = [zeros(sample, 0), zeros(sample, 1)];
  // Western text in UTF-16 has a zero in most pairs, always on the same side.
  if (odd > sample.length / 6 && even === 0) return 'utf-16le';
  if (even > sample.length / 6 && odd === 0) return 'utf-16be';
  return isUtf8(buffer) ? 'utf-8' : 'windows-1252';
}

function zeros(sample: Buffer, offset: 0 | 1): number {
  let count = 0;
  for (let index = offset; index < sample.length; index += 2) if (sample[index] === 0) count += 1;
  return count;
}

function isUtf8(buffer: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(buffer);
    return true;
  } catch {
    return false;
  }
}
