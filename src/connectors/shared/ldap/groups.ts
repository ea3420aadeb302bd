import { AndFilter, EqualityFilter, FilterParser } from 'ldapts';
import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../../connector.js';
import { ConnectorError } from '../../errors.js';
import type { LdapEntry, LdapSession } from './client.js';
import { valuesOf } from './client.js';
import type { DirectoryConfig, DirectoryContext } from './dialect.js';
import { isSameDn, isWithin, rdnValue, splitDn } from './dn.js';
import { accountFilter, entriesBy, entryOfRef, loginOf, refOf } from './entries.js';
import { resultCodeOf, resultCodes } from './result-codes.js';
import { requireAccount } from '../object-class.js';

type Groups = NonNullable<DirectoryConfig['groups']>;
const membersPerPage = 100;

/** The name of a group as policy writes it: its RDN's value below the groups' base, its whole DN elsewhere. */
export function groupName({ config }: DirectoryContext, dn: string): string {
  const { groups } = config;
  const isOurs =
    groups !== undefined &&
    isWithin(dn, groups.base) &&
    splitDn(dn).first.toLowerCase().startsWith(`${groups.name.toLowerCase()}=`);
  return isOurs ? rdnValue(dn) : dn;
}

/** The groups that an account's own entry shows; undefined when the directory does not show them there. */
export async function groupsShown(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
): Promise<readonly string[] | undefined> {
  const memberOf = context.config.groups?.memberOf;
  if (memberOf === undefined) {
    return undefined;
  }
  const hidden = await context.dialect.hiddenGroup?.(session, entry);
  const held = [...valuesOf(entry, memberOf), ...(hidden === undefined ? [] : [hidden.dn])];
  return [...new Set(held.map((dn) => groupName(context, dn)))];
}

/** The names of all groups that hold the account, asked from the groups' side; undefined without groups. */
export async function groupsHolding(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
): Promise<readonly string[] | undefined> {
  if (context.config.groups === undefined) {
    return undefined;
  }
  const ordinary = await ordinaryGroupsOf(context, session, entry);
  const hidden = await context.dialect.hiddenGroup?.(session, entry);
  const held = hidden === undefined ? ordinary : [...ordinary, hidden];
  return [...new Set(held.map((group) => groupName(context, group.dn)))];
}

/** Groups whose member attribute names the account. */
export async function ordinaryGroupsOf(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
): Promise<readonly LdapEntry[]> {
  const { groups } = context.config;
  return groups === undefined ? [] : groupsWith(context, groups, session, memberValue(context, groups, entry));
}

async function groupsWith(
  context: DirectoryContext,
  groups: Groups,
  session: LdapSession,
  member: string,
): Promise<readonly LdapEntry[]> {
  const held = new EqualityFilter({ attribute: groups.member, value: member });
  return session.search(groups.base, {
    scope: 'sub',
    filter: new AndFilter({ filters: [FilterParser.parseString(groups.filter), held] }),
    attributes: [groups.name, ...context.dialect.groupAttributes],
  });
}

function memberValue(context: DirectoryContext, groups: Groups, entry: LdapEntry): string {
  return groups.memberIs === 'dn' ? entry.dn : loginOf(context, entry);
}

async function requireGroup(
  context: DirectoryContext,
  groups: Groups,
  session: LdapSession,
  group: EntitlementRef,
  operation: string,
): Promise<LdapEntry> {
  const named = new EqualityFilter({ attribute: groups.name, value: group.name });
  const found = await session.search(groups.base, {
    scope: 'sub',
    filter: new AndFilter({ filters: [FilterParser.parseString(groups.filter), named] }),
    attributes: [groups.name, ...context.dialect.groupAttributes],
  });
  const [first] = found;
  if (first === undefined || found.length > 1) {
    const targetCode = first === undefined ? 'no-such-group' : 'group-not-unique';
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement', targetCode });
  }
  return first;
}

/** Adds or removes one member. The group must exist (INVALID) and the account too (NOT_FOUND). */
export async function changeMember(
  context: DirectoryContext,
  groups: Groups,
  group: EntitlementRef,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = wanted ? 'addMember' : 'removeMember';
  requireAccount(ref.objectClass, operation);
  return context.directory.run(operation, ctx, async (session) => {
    const target = await requireGroup(context, groups, session, group, operation);
    const entry = await entryOfRef(context, session, ref);
    if (entry === undefined) {
      throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
    }
    if (!wanted) {
      await context.dialect.beforeRemoval?.(session, entry, target);
    }
    const member = memberValue(context, groups, entry);
    const held = await groupsWith(context, groups, session, member);
    const hidden = wanted ? await context.dialect.hiddenGroup?.(session, entry) : undefined;
    const isHeld = [...held, ...(hidden === undefined ? [] : [hidden])].some((one) => isSameDn(one.dn, target.dn));
    if (isHeld === wanted) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const done = wanted
      ? await tolerating(resultCodes.attributeOrValueExists, () =>
          session.modify(target.dn, [{ operation: 'add', attribute: groups.member, values: [member] }]),
        )
      : await removeFromGroup(context, session, entry, target, operation);
    const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [group.name] } as const;
    return { outcome: done ? 'applied' : 'already-in-state', ref, changed: done ? [change] : [] };
  });
}

/**
 * Takes an account out of a group; false when it was not in it. A group that must not be empty gets its placeholder in
 * the same modification, and without one the refusal is a CONFLICT for a person.
 */
export async function removeFromGroup(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
  group: LdapEntry,
  operation: string,
): Promise<boolean> {
  const { groups } = context.config;
  if (groups === undefined) {
    return false;
  }
  const { member: attribute, placeholder } = groups;
  const removal = { operation: 'delete', attribute, values: [memberValue(context, groups, entry)] } as const;
  return tolerating(resultCodes.noSuchAttribute, async () => {
    try {
      await session.modify(group.dn, [removal]);
    } catch (error) {
      if (resultCodeOf(error) !== resultCodes.objectClassViolation) throw error;
      if (placeholder === undefined) {
        const targetCode = 'last-member';
        throw new ConnectorError({ code: 'CONFLICT', operation, sent: true, attribute: 'entitlement', targetCode });
      }
      await session.modify(group.dn, [{ operation: 'add', attribute, values: [placeholder] }, removal]);
    }
  });
}

async function tolerating(code: number, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (resultCodeOf(error) === code) return false;
    throw error;
  }
}

/**
 * After an entry was renamed or moved: groups that still hold the old name get the new one. Directories that do it by
 * themselves leave nothing to do; elsewhere the next account of the old name would inherit the memberships.
 */
export async function carryMemberships(
  context: DirectoryContext,
  session: LdapSession,
  entry: LdapEntry,
  now: { readonly dn: string; readonly login: string },
): Promise<void> {
  const { groups } = context.config;
  if (groups === undefined) {
    return;
  }
  const before = memberValue(context, groups, entry);
  const after = groups.memberIs === 'dn' ? now.dn : now.login;
  if (before === after) {
    return;
  }
  const attribute = groups.member;
  for (const { dn } of await groupsWith(context, groups, session, before)) {
    const exchange = () =>
      session.modify(dn, [
        { operation: 'delete', attribute, values: [before] },
        { operation: 'add', attribute, values: [after] },
      ]);
    // The directory's own overlay may be doing the same at this moment.
    await tolerating(resultCodes.noSuchAttribute, async () => {
      await tolerating(resultCodes.attributeOrValueExists, exchange);
    });
  }
}

/** One page of a group's accounts, in the order of the member values; members that are not accounts are left out. */
export async function listMembers(
  context: DirectoryContext,
  groups: Groups,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const { dialect, directory } = context;
  return directory.run('listMembers', ctx, async (session) => {
    const { dn } = await requireGroup(context, groups, session, group, 'listMembers');
    const members = (await allValues(session, dn, groups.member))
      .filter((member) => cursor === undefined || member > cursor)
      .sort((left, right) => (left < right ? -1 : 1));
    const wanted = members.slice(0, membersPerPage);
    const attributes = [dialect.nativeId.attribute];
    const entries = await Promise.all(
      wanted.map(async (member) =>
        groups.memberIs === 'dn'
          ? [await session.read(member, { filter: accountFilter(context), attributes })]
          : entriesBy(context, session, context.config.accounts.login, member),
      ),
    );
    const items = entries
      .flat()
      .flatMap((entry) => (entry === undefined ? [] : [refOf(context, entry, 'listMembers')]));
    const last = wanted.at(-1);
    return members.length > wanted.length && last !== undefined
      ? { items, complete: false, next: last }
      : { items, complete: true };
  });
}

/** All values of an attribute, also where a directory hands out large ones in ranges (`member;range=0-1499`). */
export async function allValues(
  session: LdapSession,
  dn: string,
  attribute: string,
  step = '*',
): Promise<readonly string[]> {
  const values: string[] = [];
  for (let wanted = step === '*' ? attribute : `${attribute};range=0-${step}`; ;) {
    const entry = await session.read(dn, { attributes: [wanted] });
    const ranged = entry === undefined ? undefined : rangeOf(entry, attribute);
    if (entry === undefined || ranged === undefined) {
      return [...values, ...(entry === undefined ? [] : valuesOf(entry, attribute))];
    }
    values.push(...ranged.values);
    if (ranged.last === undefined) {
      return values;
    }
    wanted = `${attribute};range=${ranged.last + 1}-${step === '*' ? '*' : ranged.last + 1 + Number(step)}`;
  }
}

function rangeOf(
  entry: LdapEntry,
  attribute: string,
): { readonly values: readonly string[]; readonly last: number | undefined } | undefined {
  for (const [name, values] of entry.text) {
    const match = /^(.*);range=\d+-(\d+|\*)$/.exec(name);
    if (match?.[1] === attribute.toLowerCase() && values.length > 0) {
      return { values, last: match[2] === '*' ? undefined : Number(match[2]) };
    }
  }
  return undefined;
}
