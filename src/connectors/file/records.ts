import type { AccountStatus, Attributes, AttributeValue, ObservedAccount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { attributeCell, cellAttribute, cellText, textCell } from './cells.js';
import type { EntitlementColumns, FileConfig } from './config.js';
import type { Row, Table } from './csv.js';

/** Columns and their new cells; what is not named stays as it is. */
export type CellChanges = ReadonlyMap<string, string>;

/** A row as an account. A status word that is not configured is `unknown`. */
export function observe(
  application: string,
  config: FileConfig,
  table: Table,
  row: Row,
  operation: string,
): ObservedAccount {
  const { accounts, format } = config;
  const cell = (column: string): string => row.cells[table.header.indexOf(column)] ?? '';
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, column] of Object.entries(config.attributes)) {
    const value = cellAttribute(cell(column.column), name, column, format, operation);
    if (value !== null) attributes[name] = value;
  }
  return {
    ref: { application, objectClass: 'account', nativeId: row.key },
    login: cellText(cell(accounts.login), format),
    status: statusOf(cell(accounts.status.column), config),
    attributes,
    entitlements: config.entitlements === undefined ? undefined : heldIn(config.entitlements, cell),
  };
}

function statusOf(word: string, { accounts: { status } }: FileConfig): AccountStatus {
  if (word === status.enabled) return 'enabled';
  return word === status.disabled ? 'disabled' : 'unknown';
}

function heldIn(rights: EntitlementColumns, cell: (column: string) => string): readonly string[] {
  if ('column' in rights) {
    return cell(rights.column)
      .split(rights.separator)
      .filter((name) => name !== '');
  }
  return Object.entries(rights.columns)
    .filter(([, column]) => cell(column) === rights.held)
    .map(([name]) => name);
}

/** The cells of given attributes; INVALID for one that is not known, read as empty though required, or the key. */
export function attributeCells(config: FileConfig, attributes: Attributes, operation: string): CellChanges {
  const cells = new Map<string, string>();
  for (const [name, value] of Object.entries(attributes)) {
    const column = config.attributes[name];
    const cell = column === undefined ? '' : attributeCell(value, name, column, config.format, operation);
    const isEmptied = column?.required === true && cell === '';
    const isKey = column?.column === config.accounts.key && operation !== 'create';
    if (column === undefined || isEmptied || isKey) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
    }
    cells.set(column.column, cell);
  }
  return cells;
}

/** INVALID with the name of the first required attribute that is not given. */
export function requireComplete(config: FileConfig, attributes: Attributes): void {
  for (const [name, { required }] of Object.entries(config.attributes)) {
    const value = attributes[name];
    if (required && (value === undefined || value === null || value === '')) {
      throw new ConnectorError({ code: 'INVALID', operation: 'create', sent: false, attribute: name });
    }
  }
}

/** Log-ins and keys are never empty and never a formula, whatever is configured for other values. */
export function identifierCell(value: unknown, attribute: string, config: FileConfig, operation: string): string {
  if (typeof value !== 'string' || value === '' || /[\r\n]/.test(value)) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
  }
  return textCell(value, attribute, { ...config.format, formulas: 'refuse' }, operation);
}

export function statusCell(config: FileConfig, enabled: boolean): CellChanges {
  const { column, enabled: on, disabled: off } = config.accounts.status;
  return new Map([[column, enabled ? on : off]]);
}

/** The cells that give or take one entitlement; INVALID for one that is not in the configuration. */
export function entitlementCells(
  rights: EntitlementColumns,
  held: readonly string[],
  name: string,
  isHeld: boolean,
  operation: string,
): CellChanges {
  if ('column' in rights) {
    requireKnown(rights.names.includes(name), operation);
    const others = held.filter((one) => one !== name);
    return new Map([[rights.column, (isHeld ? [...others, name] : others).join(rights.separator)]]);
  }
  const column = Object.hasOwn(rights.columns, name) ? rights.columns[name] : undefined;
  requireKnown(column !== undefined, operation);
  return new Map([[column ?? '', isHeld ? rights.held : rights.absent]]);
}

function requireKnown(known: boolean, operation: string): void {
  if (!known) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement' });
  }
}

/** The cells of an account without any entitlement. */
export function noEntitlements(rights: EntitlementColumns | undefined): CellChanges {
  if (rights === undefined) return new Map();
  if ('column' in rights) return new Map([[rights.column, '']]);
  return new Map(Object.values(rights.columns).map((column) => [column, rights.absent]));
}

/** The row with some cells changed; a new row is empty elsewhere. */
export function changedRow(header: readonly string[], key: string, before: Row | undefined, changes: CellChanges): Row {
  const cells = header.map((column, index) => changes.get(column) ?? before?.cells[index] ?? '');
  return { key, cells };
}
