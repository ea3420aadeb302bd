import { OrFilter } from 'ldapts';
import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  CorrelationKey,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
} from '../../connector.js';
import { ConnectorError } from '../../errors.js';
import { effectiveDeltas } from '../attributes.js';
import type { LdapChange, LdapEntry, LdapSession, NewAttributes } from './client.js';
import type { DirectoryContext } from './dialect.js';
import { isWithin, rdn, rdnValue, splitDn } from './dn.js';
import {
  accountAttributes,
  accountFilter,
  entriesBy,
  entryOfRef,
  loginOf,
  observeEntry,
  refOf,
  requireAttributes,
  requireEntry,
  requireLogin,
  writtenValues,
} from './entries.js';
import { carryMemberships, groupsHolding, groupsShown } from './groups.js';
import { resultCodeOf, resultCodes } from './result-codes.js';
import { requireAccount } from '../object-class.js';

/**
 * One page by native id. Cookies of paged results end with their connection, so they cannot be cursors: the ids alone
 * are walked (by paged results), and the page's entries are read after them. Rows that come or go disturb nothing.
 */
export async function listAccounts(
  context: DirectoryContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const { dialect, config, directory } = context;
  return directory.run('list', ctx, async (session) => {
    const base = config.accounts.base;
    const attributes = [dialect.nativeId.attribute];
    const all = await session.search(base, { scope: 'sub', filter: accountFilter(context), attributes });
    const after = query.cursor;
    const ids = all
      .map((entry) => refOf(context, entry, 'list').nativeId)
      .filter((id) => after === undefined || id > after)
      .sort((left, right) => (left < right ? -1 : 1));
    const wanted = ids.slice(0, query.pageSize);
    const last = wanted.at(-1);
    const filters = wanted.flatMap((id) => dialect.nativeId.filter(id) ?? []);
    const entries =
      last === undefined
        ? []
        : await session.search(base, {
            scope: 'sub',
            filter: accountFilter(context, new OrFilter({ filters })),
            attributes: accountAttributes(context),
          });
    const observed = entries.map(async (entry) =>
      observeEntry(context, entry, await groupsShown(context, session, entry), 'list'),
    );
    const items = (await Promise.all(observed)).sort((left, right) =>
      left.ref.nativeId < right.ref.nativeId ? -1 : 1,
    );
    return ids.length > wanted.length && last !== undefined
      ? { items, complete: false, next: last }
      : { items, complete: true };
  });
}

export async function getAccount(
  context: DirectoryContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  return context.directory.run('get', ctx, async (session) => {
    const entry = await entryOfRef(context, session, ref);
    return entry === undefined ? undefined : observeWithGroups(context, session, entry, 'get');
  });
}

export async function findAccounts(
  context: DirectoryContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  const { accounts, attributes } = context.config;
  const attribute = by.attribute === 'login' ? accounts.login : attributes[by.attribute]?.attribute;
  if (attribute === undefined) {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  return context.directory.run('find', ctx, async (session) => {
    const entries = await entriesBy(context, session, attribute, by.value);
    return Promise.all(entries.map((entry) => observeWithGroups(context, session, entry, 'find')));
  });
}

async function observeWithGroups(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
  operation: string,
): Promise<ObservedAccount> {
  const entitlements = (await groupsShown(context, session, entry)) ?? (await groupsHolding(context, session, entry));
  return observeEntry(context, entry, entitlements, operation);
}

/**
 * Adds the entry, disabled or not, in one request. An entry that already carries the same adoption key is adopted; the
 * same login with another key is ALREADY_EXISTS.
 */
export async function createAccount(
  context: DirectoryContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const { config, dialect, directory } = context;
  const login = requireLogin(context, spec.login, 'create');
  const attributes: Attributes = { [config.adoptionKey]: ctx.idempotencyKey, ...spec.attributes };
  requireAttributes(context, attributes, 'create');
  const cells: NewAttributes = Object.entries(attributes).flatMap(([name, value]) => {
    const values = writtenValues(context, name, value, 'create');
    return values.length === 0 ? [] : [[config.attributes[name]?.attribute ?? name, values] as const];
  });
  const dn = `${rdn(config.accounts.rdn, login)},${config.accounts.container}`;
  return directory.run('create', ctx, async (session) => {
    const adopted = await byAdoptionKey(context, session, attributes);
    if (adopted !== undefined) {
      return { outcome: 'already-in-state', ref: refOf(context, adopted, 'create'), changed: [] };
    }
    await requireFreeLogin(context, session, login, 'create');
    try {
      await session.add(dn, merged([...dialect.newAccount(login, spec.enabled), ...cells]));
    } catch (error) {
      const code = resultCodeOf(error);
      if (code !== resultCodes.entryAlreadyExists && code !== resultCodes.constraintViolation) throw error;
      // Another try of this step was quicker: its entry is ours.
      const winner = await byAdoptionKey(context, session, attributes);
      if (winner !== undefined) {
        return { outcome: 'already-in-state', ref: refOf(context, winner, 'create'), changed: [] };
      }
      await requireFreeLogin(context, session, login, 'create');
      throw error;
    }
    const made = await session.read(dn, { attributes: accountAttributes(context) });
    if (made === undefined) {
      throw new ConnectorError({ code: 'AMBIGUOUS', operation: 'create', sent: true });
    }
    const changed = Object.entries(spec.attributes).map(([attribute, value]) => replaced(attribute, value));
    return { outcome: 'applied', ref: refOf(context, made, 'create'), changed: [replaced('login', login), ...changed] };
  });
}

function replaced(attribute: string, value: AttributeDelta['value']): AttributeDelta {
  return { attribute, op: 'replace', value };
}

/** One list of values per attribute, whatever the case of its name; a later one wins. */
function merged(attributes: NewAttributes): NewAttributes {
  return [...new Map(attributes.map((cell) => [cell[0].toLowerCase(), cell])).values()];
}

async function byAdoptionKey(
  context: DirectoryContext,
  session: LdapSession,
  attributes: Attributes,
): Promise<LdapEntry | undefined> {
  const { adoptionKey } = context.config;
  const attribute = context.config.attributes[adoptionKey]?.attribute ?? adoptionKey;
  return (await entriesBy(context, session, attribute, String(attributes[adoptionKey])))[0];
}

async function requireFreeLogin(
  context: DirectoryContext,
  session: LdapSession,
  login: string,
  operation: string,
  except?: LdapEntry,
): Promise<void> {
  const holders = await entriesBy(context, session, context.config.accounts.login, login);
  if (holders.some((holder) => holder.dn !== except?.dn)) {
    throw new ConnectorError({ code: 'ALREADY_EXISTS', operation, sent: false, attribute: 'login' });
  }
}

/**
 * Writes what really changes of the deltas in one modification; a new login also renames the entry (before it), which
 * is a request of its own: when the second is refused, PARTIAL, and the same update again does the rest.
 */
export async function updateAccount(
  context: DirectoryContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const { directory, dialect, config } = context;
  return directory.run('update', ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, 'update');
    const current = observeEntry(context, entry, undefined, 'update');
    const changes = effectiveDeltas({ ...current.attributes, login: current.login }, deltas);
    if (changes.length === 0) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const { login: newLogin, ...attributes }: Attributes = Object.fromEntries(
      changes.map(({ attribute, value }) => [attribute, value]),
    );
    requireAttributes(context, attributes, 'update');
    const modifications: LdapChange[] = Object.entries(attributes).map(([name, value]) => ({
      operation: 'replace',
      attribute: config.attributes[name]?.attribute ?? name,
      values: writtenValues(context, name, value, 'update'),
    }));
    let dn = entry.dn;
    if (newLogin !== undefined) {
      const login = requireLogin(context, newLogin, 'update');
      await requireFreeLogin(context, session, login, 'update', entry);
      modifications.unshift(...dialect.renameChanges(login));
      dn = await moveEntry(context, session, entry, { login });
    }
    if (modifications.length > 0) {
      await session.modify(dn, modifications);
    }
    return { outcome: 'applied', ref, changed: changes };
  });
}

/** Renames or moves an entry and carries its memberships along; answers the new DN. */
export async function moveEntry(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
  to: { readonly login?: string; readonly container?: string },
): Promise<string> {
  const { first, parent } = splitDn(entry.dn);
  const isRenamed = to.login !== undefined && to.login !== rdnValue(entry.dn);
  const newRdn = isRenamed ? rdn(context.config.accounts.rdn, to.login) : first;
  if (!isRenamed && to.container === undefined) {
    return entry.dn;
  }
  await session.move(
    entry.dn,
    isRenamed ? newRdn : rdn(first.slice(0, first.indexOf('=')), rdnValue(first)),
    to.container,
  );
  const dn = `${newRdn},${to.container ?? parent}`;
  await carryMemberships(context, session, entry, { dn, login: to.login ?? loginOf(context, entry) });
  return dn;
}

/** Locks or unlocks. An account that is opened is not archived any more: it is moved back first, still locked. */
export async function setEnabled(
  context: DirectoryContext,
  ref: AccountRef,
  enabled: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = enabled ? 'enable' : 'disable';
  const { config, dialect, directory } = context;
  return directory.run(operation, ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, operation);
    const changes = dialect.enabledChanges(entry, enabled);
    const isArchived = enabled && config.archive !== undefined && isWithin(entry.dn, config.archive.container);
    if (changes.length === 0 && !isArchived) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const dn = isArchived
      ? await moveEntry(context, session, entry, { container: config.accounts.container })
      : entry.dn;
    if (changes.length > 0) {
      await session.modify(dn, changes);
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}
