import type { AttributeValue } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { AttributeColumn, FileFormat } from './config.js';
import { isEncodable } from './csv.js';

/** What spreadsheets take for a formula (OWASP, CSV injection). */
const formula = /^[=+\-@\t\r]/;
const guarded = /^'+[=+\-@\t\r]/;
const guardable = /^'*[=+\-@\t\r]/;

function invalid(operation: string, attribute: string, targetCode: string): ConnectorError {
  return new ConnectorError({ code: 'INVALID', operation, sent: false, attribute, targetCode });
}

/**
 * A text as a cell: formulas are refused or neutralised, and a character that the encoding does not have is refused
 * (INVALID with the attribute's name). `isNumber`: a minus of a number is no formula.
 */
export function textCell(
  text: string,
  attribute: string,
  format: FileFormat,
  operation: string,
  isNumber = false,
): string {
  if (!isEncodable(text, format)) {
    throw invalid(operation, attribute, 'not-in-encoding');
  }
  if (isNumber) {
    return text;
  }
  if (format.formulas === 'neutralise') {
    return guardable.test(text) ? `'${text}` : text;
  }
  if (formula.test(text)) {
    throw invalid(operation, attribute, 'formula');
  }
  return text;
}

/** The text of a cell, without the apostrophe that `textCell` put there. */
export function cellText(cell: string, format: FileFormat): string {
  return format.formulas === 'neutralise' && guarded.test(cell) ? cell.slice(1) : cell;
}

/** An attribute's value as a cell; null, undefined and the empty list are an empty cell. */
export function attributeCell(
  value: AttributeValue | undefined,
  name: string,
  column: AttributeColumn,
  format: FileFormat,
  operation: string,
): string {
  if (value === undefined || value === null || value === '') {
    return '';
  }
  switch (column.type) {
    case 'strings': {
      const items = Array.isArray(value) ? (value as readonly string[]) : [String(value)];
      if (items.some((item) => item === '' || item.includes(column.separator))) {
        throw invalid(operation, name, 'separator-in-value');
      }
      return textCell(items.join(column.separator), name, format, operation);
    }
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(operation, name, 'not-a-number');
      return textCell(String(value), name, format, operation, true);
    case 'boolean':
      if (typeof value !== 'boolean') throw invalid(operation, name, 'not-a-boolean');
      return String(value);
    case 'string':
      if (typeof value !== 'string') throw invalid(operation, name, 'not-a-string');
      return textCell(value, name, format, operation);
  }
}

/** A cell as an attribute's value; empty is null. A cell that is not of the configured type is INVALID, never guessed. */
export function cellAttribute(
  cell: string,
  name: string,
  column: AttributeColumn,
  format: FileFormat,
  operation: string,
): AttributeValue {
  const text = cellText(cell, format);
  if (text === '') {
    return null;
  }
  switch (column.type) {
    case 'strings':
      return text.split(column.separator).filter((item) => item !== '');
    case 'number': {
      const value = Number(text);
      if (!/^-?\d/.test(text) || !Number.isFinite(value)) throw invalid(operation, name, 'not-a-number');
      return value;
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false') throw invalid(operation, name, 'not-a-boolean');
      return text === 'true';
    case 'string':
      return text;
  }
}
