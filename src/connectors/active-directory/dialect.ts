import { EqualityFilter } from 'ldapts';
import type { AccountStatus, SignInAnswer } from '../connector.js';
import { Secret } from '../secret.js';
import type { LdapChange, LdapEntry, LdapSession } from '../shared/ldap/client.js';
import { valuesOf } from '../shared/ldap/client.js';
import type { BindOutcome, DirectoryDialect } from '../shared/ldap/dialect.js';
import { resultCodes } from '../shared/ldap/result-codes.js';
import type { ActiveDirectoryConfig } from './config.js';
import { guidBytes, guidText, hasPassed, ridOf, sidWithRid } from './identifiers.js';

const accountDisabled = 0x2;
const normalAccount = 0x200;
/** In msDS-User-Account-Control-Computed: locked after too many wrong passwords. */
const lockedOut = 0x10;
/** Domain Users: everybody's primary group, and so nobody's entitlement. */
const domainUsers = 513;

/**
 * The sub-codes of a refused bind. Active Directory looks at the password first: 533 proves that it was right and the
 * account is off. What can pass by itself (hours, workstations, expiry, lockout) is `locked`, never `disabled`.
 */
const subCodes: Readonly<Record<string, SignInAnswer['answer']>> = {
  '52e': 'wrong-secret',
  '530': 'locked',
  '531': 'locked',
  '533': 'disabled',
  '701': 'locked',
  '775': 'locked',
};

/** Active Directory and Samba's domain controller. */
export function activeDirectoryDialect(config: ActiveDirectoryConfig): DirectoryDialect {
  const { accounts } = config;
  const names = (login: string) =>
    [
      ['sAMAccountName', [login]],
      ['userPrincipalName', [`${login}@${accounts.upnSuffix}`]],
    ] as const;
  return {
    road: 'active-directory:bind',
    nativeId: {
      attribute: 'objectGUID',
      of: (entry) => {
        const bytes = entry.binary.get('objectguid')?.[0];
        return bytes === undefined ? undefined : guidText(bytes);
      },
      filter: (nativeId) => {
        const value = guidBytes(nativeId);
        return value === undefined ? undefined : new EqualityFilter({ attribute: 'objectGUID', value });
      },
    },
    stateAttributes: [
      'userAccountControl',
      'msDS-User-Account-Control-Computed',
      'accountExpires',
      'primaryGroupID',
      'objectSid',
    ],
    groupAttributes: ['objectSid'],
    statusOf,
    // 20 characters is what domain controllers take for users, whatever the schema says.
    isLogin: (login) => login.length <= 20 && !/["/\\[\]:;|=,+*?<>@\u0000-\u001f]/.test(login) && !login.endsWith('.'),
    newAccount: (login, enabled) => [
      ['objectClass', ['top', 'person', 'organizationalPerson', 'user']],
      ...names(login),
      // A password that nobody knows: without one an account cannot be enabled.
      ['unicodePwd', [quoted(Secret.random())]],
      ['userAccountControl', [String(enabled ? normalAccount : normalAccount | accountDisabled)]],
    ],
    renameChanges: (login) => names(login).map(([name, values]) => replace(name, values)),
    enabledChanges,
    seal: async (session, entry, secret) => {
      const disabled = String((controlOf(entry) ?? normalAccount) | accountDisabled);
      await session.modify(entry.dn, [forgotten(), replace('userAccountControl', [disabled])]);
      await session.modify(entry.dn, [replace('unicodePwd', [quoted(secret)])]);
    },
    writeSecret: async (session, entry, secret, forOwner) => {
      await session.modify(entry.dn, [forgotten()]);
      await session.modify(entry.dn, [
        replace('unicodePwd', [quoted(secret)]),
        ...(forOwner && accounts.mustChangePassword ? [replace('pwdLastSet', ['0'])] : []),
      ]);
    },
    hiddenGroup: (session, entry) => primaryGroup(accounts.base, session, entry),
    beforeRemoval: (session, entry, group) => leavePrimaryGroup(accounts.base, session, entry, group),
    bindName: (entry) => entry.dn,
    bindControl: () => undefined,
    signInAnswer: (outcome) => Promise.resolve(signInAnswer(outcome)),
  };
}

function replace(attribute: string, values: readonly string[] | readonly Buffer[]): LdapChange {
  return { operation: 'replace', attribute, values };
}

/** unicodePwd takes the password in quotes, in UTF-16. */
function quoted(secret: Secret): Buffer {
  return Buffer.from(`"${secret.reveal()}"`, 'utf16le');
}

/**
 * A password that nobody knows, set before the real one. Domain controllers go on accepting the password before the
 * last for an hour (OldPasswordAllowedPeriod): after two changes the one that people know is not that any more.
 */
function forgotten(): LdapChange {
  return replace('unicodePwd', [quoted(Secret.random())]);
}

function controlOf(entry: LdapEntry): number | undefined {
  const [value] = valuesOf(entry, 'userAccountControl');
  return value === undefined ? undefined : Number(value);
}

function isLockedOut(entry: LdapEntry): boolean {
  return (Number(valuesOf(entry, 'msDS-User-Account-Control-Computed')[0] ?? 0) & lockedOut) !== 0;
}

function isExpired(entry: LdapEntry): boolean {
  return hasPassed(valuesOf(entry, 'accountExpires')[0], Date.now());
}

/** An expired account is kept out, but not by us: it is neither enabled nor disabled. */
function statusOf(entry: LdapEntry): AccountStatus {
  const control = controlOf(entry);
  if (control === undefined || Number.isNaN(control)) {
    return 'unknown';
  }
  if ((control & accountDisabled) !== 0) {
    return 'disabled';
  }
  return isExpired(entry) || isLockedOut(entry) ? 'locked' : 'enabled';
}

function enabledChanges(entry: LdapEntry, enabled: boolean): readonly LdapChange[] {
  const control = controlOf(entry) ?? normalAccount;
  const wanted = enabled ? control & ~accountDisabled : control | accountDisabled;
  return [
    ...(wanted === control ? [] : [replace('userAccountControl', [String(wanted)])]),
    ...(enabled && isExpired(entry) ? [replace('accountExpires', ['0'])] : []),
    ...(enabled && isLockedOut(entry) ? [replace('lockoutTime', ['0'])] : []),
  ];
}

function signInAnswer({ resultCode, message }: BindOutcome): Pick<SignInAnswer, 'answer' | 'code'> {
  if (resultCode === 0) {
    return { answer: 'accepted', code: '0' };
  }
  const subCode = /\bdata ([0-9a-f]{2,8})\b/i.exec(message)?.[1]?.toLowerCase();
  if (resultCode !== resultCodes.invalidCredentials || subCode === undefined) {
    return { answer: 'unknown', code: String(resultCode) };
  }
  return { answer: subCodes[subCode] ?? 'unknown', code: `${resultCode}:${subCode}` };
}

/** The primary group holds its members without naming them; undefined for Domain Users. */
async function primaryGroup(base: string, session: LdapSession, entry: LdapEntry): Promise<LdapEntry | undefined> {
  const rid = Number(valuesOf(entry, 'primaryGroupID')[0] ?? domainUsers);
  return rid === domainUsers ? undefined : groupByRid(base, session, entry, rid);
}

async function groupByRid(
  base: string,
  session: LdapSession,
  entry: LdapEntry,
  rid: number,
): Promise<LdapEntry | undefined> {
  const sid = entry.binary.get('objectsid')?.[0];
  if (sid === undefined) {
    return undefined;
  }
  const filter = new EqualityFilter({ attribute: 'objectSid', value: sidWithRid(sid, rid) });
  return (await session.search(base, { scope: 'sub', filter, attributes: ['objectSid'] }))[0];
}

/** Nobody can leave the primary group: Domain Users takes its place first, and the group becomes an ordinary one. */
async function leavePrimaryGroup(
  base: string,
  session: LdapSession,
  entry: LdapEntry,
  group: LdapEntry,
): Promise<void> {
  const sid = group.binary.get('objectsid')?.[0];
  const primary = Number(valuesOf(entry, 'primaryGroupID')[0] ?? domainUsers);
  if (sid === undefined || ridOf(sid) !== primary || primary === domainUsers) {
    return;
  }
  const users = await groupByRid(base, session, entry, domainUsers);
  const inUsers = new EqualityFilter({ attribute: 'member', value: entry.dn });
  if (users !== undefined && (await session.read(users.dn, { filter: inUsers, attributes: ['1.1'] })) === undefined) {
    await session.modify(users.dn, [{ operation: 'add', attribute: 'member', values: [entry.dn] }]);
  }
  await session.modify(entry.dn, [replace('primaryGroupID', [String(domainUsers)])]);
}
