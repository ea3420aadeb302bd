import { createHash } from 'node:crypto';
import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  AttributeValue,
  CorrelationKey,
  EntitlementRef,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { Believed, Book, Plan } from './book.js';
import type { EntitlementColumns, FileConfig } from './config.js';
import { digestOf } from './csv.js';
import type { Table } from './csv.js';
import type { CellChanges } from './records.js';
import {
  attributeCells,
  entitlementCells,
  identifierCell,
  noEntitlements,
  observe,
  requireComplete,
  statusCell,
} from './records.js';
import { requireAccount } from '../shared/object-class.js';

export interface FileContext {
  readonly application: string;
  readonly config: FileConfig;
  readonly book: Book;
}

function observeAll(files: FileContext, table: Table, operation: string): readonly ObservedAccount[] {
  return table.rows.map((row) => observe(files.application, files.config, table, row, operation));
}

/** The account of a native id in a file that was read. */
export function accountIn(
  files: FileContext,
  table: Table,
  nativeId: string,
  operation: string,
): ObservedAccount | undefined {
  const row = table.rows.find((one) => one.key === nativeId);
  return row === undefined ? undefined : observe(files.application, files.config, table, row, operation);
}

interface Position {
  readonly after: string;
  /** Digest of the file that the list began with. */
  readonly of: string;
}

function positionOf(cursor: string, operation: string): Position {
  try {
    const { after, of } = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Partial<Position>;
    if (typeof after === 'string' && typeof of === 'string') return { after, of };
  } catch {
    // Refused below.
  }
  throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'cursor' });
}

/** One page in the order of keys. A list whose file changed on the way ends without calling itself complete. */
function page<T extends { readonly key: string }>(
  { bytes, snapshotAt }: Believed,
  all: readonly T[],
  cursor: string | undefined,
  size: number,
  operation: string,
): { readonly items: readonly T[]; readonly complete: boolean; readonly next?: string; readonly snapshotAt: string } {
  const from = cursor === undefined ? undefined : positionOf(cursor, operation);
  const sorted = all.toSorted((left, right) => (left.key < right.key ? -1 : 1));
  const rest = from === undefined ? sorted : sorted.filter((one) => one.key > from.after);
  const items = rest.slice(0, size);
  const last = items.at(-1);
  return rest.length > size && last !== undefined
    ? {
        items,
        complete: false,
        next: nextCursor({ after: last.key, of: from?.of ?? digestOf(bytes) }),
        snapshotAt,
      }
    : { items, complete: from === undefined || from.of === digestOf(bytes), snapshotAt };
}

function nextCursor(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

export async function listAccounts(
  files: FileContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const believed = await files.book.read('list', ctx);
  const { items, ...rest } = page(believed, believed.table.rows, query.cursor, query.pageSize, 'list');
  return {
    ...rest,
    items: items.map((row) => observe(files.application, files.config, believed.table, row, 'list')),
  };
}

export async function getAccount(
  files: FileContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  const { table } = await files.book.read('get', ctx);
  return accountIn(files, table, ref.nativeId, 'get');
}

export async function findAccounts(
  files: FileContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  if (by.attribute !== 'login' && files.config.attributes[by.attribute] === undefined) {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  const { table } = await files.book.read('find', ctx);
  return observeAll(files, table, 'find').filter((account) =>
    holds(by.attribute === 'login' ? account.login : account.attributes[by.attribute], by.value),
  );
}

function holds(value: AttributeValue | undefined, wanted: string): boolean {
  return Array.isArray(value) ? value.includes(wanted) : value !== undefined && String(value) === wanted;
}

/**
 * Adds the row. A row that already carries the same adoption key is adopted; the same login or key with another adoption
 * key is ALREADY_EXISTS.
 */
export async function createAccount(
  files: FileContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const { config } = files;
  const attributes: Attributes = { [config.adoptionKey]: ctx.idempotencyKey, ...spec.attributes };
  const login = identifierCell(spec.login, 'login', config, 'create');
  const cells = attributeCells(config, attributes, 'create');
  requireComplete(config, attributes);
  const key = keyOf(files, attributes);
  return files.book.change('create', ctx, (table) => {
    const accounts = observeAll(files, table, 'create');
    const adopted = accounts.find((one) =>
      holds(one.attributes[config.adoptionKey], String(attributes[config.adoptionKey])),
    );
    if (adopted !== undefined) {
      return nothing(adopted.ref);
    }
    const taken = accounts.find((one) => one.login === spec.login || one.ref.nativeId === key);
    if (taken !== undefined) {
      const attribute = taken.login === spec.login ? 'login' : config.accounts.key;
      throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false, attribute });
    }
    const all = new Map([
      ...noEntitlements(config.entitlements),
      ...cells,
      ...statusCell(config, spec.enabled),
      [config.accounts.login, login] as const,
      [config.accounts.key, key] as const,
    ]);
    const ref: AccountRef = { application: files.application, objectClass: 'account', nativeId: key };
    const given = Object.entries({ login: spec.login, ...spec.attributes });
    const changed = given.map(([attribute, value]) => ({ attribute, op: 'replace' as const, value }));
    return { change: { kind: 'create', key, cells: all }, result: { outcome: 'applied', ref, changed } };
  });
}

/** The same for every try of one step. */
function keyOf({ application, config }: FileContext, attributes: Attributes): string {
  if (config.accounts.keyFrom !== 'derived') {
    return identifierCell(attributes[config.accounts.keyFrom], config.accounts.keyFrom, config, 'create');
  }
  const text = JSON.stringify([application, attributes[config.adoptionKey]]);
  const digest = createHash('sha256').update(text).digest('hex');
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `a${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-');
}

function nothing(ref: AccountRef): Plan {
  return { change: undefined, result: { outcome: 'already-in-state', ref, changed: [] } };
}

/** Writes what really changes of the deltas; `login` renames, the key stays. */
export async function updateAccount(
  files: FileContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const { config } = files;
  return changeAccount(files, ref, 'update', ctx, (current, table) => {
    const changed = effectiveDeltas({ ...current.attributes, login: current.login }, deltas);
    const { login, ...attributes } = Object.fromEntries(changed.map(({ attribute, value }) => [attribute, value]));
    const cells = new Map(attributeCells(config, attributes, 'update'));
    if (login !== undefined) {
      cells.set(config.accounts.login, identifierCell(login, 'login', config, 'update'));
      if (observeAll(files, table, 'update').some((one) => one.login === login)) {
        throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'update', sent: false, attribute: 'login' });
      }
    }
    return { cells, changed };
  });
}

export async function setEnabled(
  files: FileContext,
  ref: AccountRef,
  enabled: boolean,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  return changeAccount(files, ref, operation, ctx, ({ status }) => ({
    // A status that is not understood is written: it is neither.
    cells: status === (enabled ? 'enabled' : 'disabled') ? new Map() : statusCell(files.config, enabled),
    changed: [],
  }));
}

export async function changeEntitlement(
  files: FileContext,
  rights: EntitlementColumns,
  entitlement: EntitlementRef,
  ref: AccountRef,
  isHeld: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = isHeld ? 'addMember' : 'removeMember';
  return changeAccount(files, ref, operation, ctx, ({ entitlements = [] }) => {
    const cells = entitlementCells(rights, entitlements, entitlement.name, isHeld, operation);
    return { cells: entitlements.includes(entitlement.name) === isHeld ? new Map() : cells, changed: [] };
  });
}

export async function deleteAccount(
  files: FileContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  return files.book.change('delete', ctx, (table) =>
    table.rows.some((row) => row.key === ref.nativeId)
      ? {
          change: { kind: 'delete', key: ref.nativeId, cells: new Map() },
          result: { outcome: 'applied', ref, changed: [] },
        }
      : nothing(ref),
  );
}

interface Edit {
  /** Empty: nothing to do. */
  readonly cells: CellChanges;
  readonly changed: readonly AttributeDelta[];
}

/** Changes cells of a row that is there, else NOT_FOUND. */
async function changeAccount(
  files: FileContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
  edit: (current: ObservedAccount, table: Table) => Edit,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  return files.book.change(operation, ctx, (table) => {
    const current = accountIn(files, table, ref.nativeId, operation);
    if (current === undefined) {
      throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
    }
    const { cells, changed } = edit(current, table);
    return cells.size === 0
      ? nothing(ref)
      : { change: { kind: 'update', key: ref.nativeId, cells }, result: { outcome: 'applied', ref, changed } };
  });
}

/** Members of one entitlement, 500 a page. */
export async function listMembers(
  files: FileContext,
  entitlement: EntitlementRef,
  cursor: string | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const believed = await files.book.read('listMembers', ctx);
  const holders = observeAll(files, believed.table, 'listMembers')
    .filter((account) => account.entitlements?.includes(entitlement.name) === true)
    .map(({ ref }) => ({ key: ref.nativeId, ref }));
  const { items, ...rest } = page(believed, holders, cursor, 500, 'listMembers');
  return { ...rest, items: items.map((holder) => holder.ref) };
}
