import type { Filter } from 'ldapts';
import { AndFilter, EqualityFilter, FilterParser } from 'ldapts';
import type { AccountRef, Attributes, AttributeValue, ObservedAccount } from '../../connector.js';
import { ConnectorError } from '../../errors.js';
import { sameValue } from '../compare.js';
import type { LdapEntry, LdapSession } from './client.js';
import { valuesOf } from './client.js';
import type { MappedAttribute } from './config.js';
import type { DirectoryContext } from './dialect.js';
import { requireAccount } from '../object-class.js';

/** Accounts that fit the condition. Values only ever travel as values: no filter text is put together. */
export function accountFilter(context: DirectoryContext, ...conditions: readonly Filter[]): Filter {
  return new AndFilter({ filters: [FilterParser.parseString(context.config.accounts.filter), ...conditions] });
}

/** What an account's entry is read with. */
export function accountAttributes({ config, dialect }: DirectoryContext): string[] {
  const mapped = Object.values(config.attributes).map(({ attribute }) => attribute);
  const memberOf = config.groups?.memberOf;
  const wanted = [dialect.nativeId.attribute, config.accounts.login, ...mapped, ...dialect.stateAttributes];
  return [...new Set(memberOf === undefined ? wanted : [...wanted, memberOf])];
}

/** Entries of accounts with this value, at most a few: more than one is the caller's finding. */
export async function entriesBy(
  context: DirectoryContext,
  session: LdapSession,
  attribute: string,
  value: string,
): Promise<readonly LdapEntry[]> {
  return session.search(context.config.accounts.base, {
    scope: 'sub',
    filter: accountFilter(context, new EqualityFilter({ attribute, value })),
    attributes: accountAttributes(context),
  });
}

/** An account's entry by native id; undefined when there is none. */
export async function entryOfRef(
  context: DirectoryContext,
  session: LdapSession,
  ref: AccountRef,
): Promise<LdapEntry | undefined> {
  const byId = context.dialect.nativeId.filter(ref.nativeId);
  if (byId === undefined) {
    return undefined;
  }
  session.about(ref);
  const found = await session.search(context.config.accounts.base, {
    scope: 'sub',
    filter: accountFilter(context, byId),
    attributes: accountAttributes(context),
  });
  return found[0];
}

export async function requireEntry(
  context: DirectoryContext,
  session: LdapSession,
  ref: AccountRef,
  operation: string,
): Promise<LdapEntry> {
  requireAccount(ref.objectClass, operation);
  const entry = await entryOfRef(context, session, ref);
  if (entry === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return entry;
}

/** The reference of an entry. An entry without its id (a missing right, mostly) is nobody's account: FORBIDDEN. */
export function refOf(context: DirectoryContext, entry: LdapEntry, operation: string): AccountRef {
  const nativeId = context.dialect.nativeId.of(entry);
  if (nativeId === undefined) {
    const attribute = context.dialect.nativeId.attribute;
    throw new ConnectorError({ code: 'FORBIDDEN', operation, sent: false, attribute });
  }
  return { application: context.application, objectClass: 'account', nativeId };
}

export function loginOf(context: DirectoryContext, entry: LdapEntry): string {
  return valuesOf(entry, context.config.accounts.login)[0] ?? '';
}

/** What an entry says of its account; its entitlements are given by the caller, who knows by which road. */
export function observeEntry(
  context: DirectoryContext,
  entry: LdapEntry,
  entitlements: readonly string[] | undefined,
  operation: string,
): ObservedAccount {
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, mapped] of Object.entries(context.config.attributes)) {
    const value = readValue(mapped, valuesOf(entry, mapped.attribute));
    if (value !== undefined) {
      attributes[name] = value;
    }
  }
  return {
    ref: refOf(context, entry, operation),
    login: loginOf(context, entry),
    status: context.dialect.statusOf(entry),
    attributes,
    entitlements,
  };
}

function readValue({ type }: MappedAttribute, values: readonly string[]): AttributeValue | undefined {
  const [first] = values;
  if (first === undefined) {
    return undefined;
  }
  if (type === 'strings' || values.length > 1) {
    // More values than the mapping expects are shown, so that a comparison finds them.
    return values;
  }
  if (type === 'number') {
    const number = Number(first);
    return Number.isSafeInteger(number) ? number : first;
  }
  return type === 'boolean' ? first.toUpperCase() === 'TRUE' : first;
}

/** The values of an attribute as the directory holds them; empty clears it. INVALID when the type does not fit. */
export function writtenValues(
  context: DirectoryContext,
  name: string,
  value: AttributeValue,
  operation: string,
): string[] {
  const type = context.config.attributes[name]?.type;
  if (sameValue(value, null)) {
    return [];
  }
  const fits =
    type === 'strings' || (!Array.isArray(value) && (type === 'string' || type === undefined || typeof value === type));
  if (!fits) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
  }
  const list: readonly AttributeValue[] = Array.isArray(value) ? (value as readonly string[]) : [value];
  return list.map((item) => (typeof item === 'boolean' ? String(item).toUpperCase() : String(item)));
}

/** Refuses what the mapping does not know, may not write, or must not leave empty. */
export function requireAttributes(context: DirectoryContext, attributes: Attributes, operation: string): void {
  const known = context.config.attributes;
  for (const [attribute, value] of Object.entries(attributes)) {
    const mapped = known[attribute];
    if (mapped === undefined || !mapped.writable || (mapped.required && sameValue(value, null))) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
    }
  }
  const missing = Object.entries(known).find(
    ([name, { required }]) => operation === 'create' && required && sameValue(attributes[name], null),
  );
  if (missing !== undefined) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: missing[0] });
  }
}

export function requireLogin(context: DirectoryContext, login: unknown, operation: string): string {
  if (typeof login !== 'string' || login.trim() === '' || login.includes('\0') || !context.dialect.isLogin(login)) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
  }
  return login;
}
