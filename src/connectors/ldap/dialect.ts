import type { BerWriter, Filter } from 'ldapts';
import {
  BerWriter as Writer,
  Control,
  EqualityFilter,
  NotFilter,
  PasswordPolicyControl,
  PasswordPolicyError,
  PresenceFilter,
} from 'ldapts';
import type { AccountStatus, SignInAnswer } from '../connector.js';
import type { Secret } from '../secret.js';
import type { LdapChange, LdapEntry } from '../shared/ldap/client.js';
import { valuesOf } from '../shared/ldap/client.js';
import type { BindOutcome, DirectoryDialect } from '../shared/ldap/dialect.js';
import { resultCodeOf, resultCodes } from '../shared/ldap/result-codes.js';
import type { LdapConfig } from './config.js';

/** How a directory locks accounts, as data. */
export interface LockDialect {
  readonly attribute: string;
  readonly disabled: string;
  /** Undefined: an enabled account does not have the attribute. */
  readonly enabled: string | undefined;
  /** What any other value means: a lock that ends by itself, or nothing that we know. */
  readonly otherwise: 'locked' | 'unknown';
  /** What a refused bind means besides 49 (wrong secret); `locked` is looked up in the account before it is believed. */
  readonly signIn: readonly { readonly resultCode: number; readonly answer: 'disabled' | 'locked' }[];
  /** A new password takes the lock away (draft-behera, as OpenLDAP has it): it has to be set again in the same request. */
  readonly passwordUnlocks: boolean;
}

export const lockDialects: Readonly<Record<'ppolicy' | 'nsAccountLock', LockDialect>> = {
  ppolicy: {
    attribute: 'pwdAccountLockedTime',
    // "Locked for ever, by an administrator", in the words of the draft.
    disabled: '000001010000Z',
    enabled: undefined,
    otherwise: 'locked',
    signIn: [],
    passwordUnlocks: true,
  },
  nsAccountLock: {
    attribute: 'nsAccountLock',
    disabled: 'true',
    enabled: undefined,
    otherwise: 'unknown',
    signIn: [{ resultCode: 53, answer: 'disabled' }],
    passwordUnlocks: false,
  },
};

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** LDAP v3 with entryUUID (RFC 4530) and the configured way of locking. */
export function ldapDialect(config: LdapConfig): DirectoryDialect {
  const { lock: chosen, accounts, password } = config;
  const lock: LockDialect =
    typeof chosen === 'string'
      ? lockDialects[chosen]
      : { ...chosen, enabled: chosen.enabled, otherwise: 'unknown', signIn: [], passwordUnlocks: false };
  return {
    road: 'ldap:bind',
    nativeId: {
      attribute: 'entryUUID',
      of: (entry) => valuesOf(entry, 'entryUUID')[0]?.toLowerCase(),
      filter: (nativeId) =>
        uuid.test(nativeId) ? new EqualityFilter({ attribute: 'entryUUID', value: nativeId }) : undefined,
    },
    stateAttributes: [lock.attribute],
    groupAttributes: [],
    statusOf: (entry) => statusOf(lock, entry),
    isLogin: () => true,
    newAccount: (login, enabled) => [
      ['objectClass', accounts.objectClasses],
      [accounts.login, [login]],
      ...(enabled ? [] : [[lock.attribute, [lock.disabled]] as const]),
      ...(enabled && lock.enabled !== undefined ? [[lock.attribute, [lock.enabled]] as const] : []),
    ],
    renameChanges: () => [],
    enabledChanges: (entry, enabled) => {
      const values = enabled ? (lock.enabled === undefined ? [] : [lock.enabled]) : [lock.disabled];
      return statusOf(lock, entry) === (enabled ? 'enabled' : 'disabled')
        ? []
        : [{ operation: 'replace', attribute: lock.attribute, values }];
    },
    seal: (session, entry, secret) => {
      const isFree = lock.passwordUnlocks && valuesOf(entry, lock.attribute).length === 0;
      // A lock that comes at this moment would be dropped together with the one that we set: CONFLICT then.
      const control = isFree ? new AssertionControl(hasNoLock(lock)) : undefined;
      return unlessHeld(session.modify(entry.dn, [passwordChange(secret), ...lockAgain(lock, entry)], control), () =>
        statusOf(lock, entry) === 'disabled'
          ? Promise.resolve()
          : session.modify(entry.dn, [{ operation: 'replace', attribute: lock.attribute, values: [lock.disabled] }]),
      );
    },
    writeSecret: async (session, entry, secret) => {
      const keepsLock = lock.passwordUnlocks && statusOf(lock, entry) === 'disabled';
      if (password === 'exop' && !keepsLock) {
        return unlessHeld(session.exop('1.3.6.1.4.1.4203.1.11.1', passwordModify(entry.dn, secret)));
      }
      const changes = keepsLock ? [passwordChange(secret), ...lockAgain(lock, entry)] : [passwordChange(secret)];
      // Somebody who disables the account at this moment must not find it unlocked by our new password.
      const control = lock.passwordUnlocks && !keepsLock ? new AssertionControl(isNotLocked(lock)) : undefined;
      return unlessHeld(session.modify(entry.dn, changes, control));
    },
    bindName: (entry) => entry.dn,
    bindControl: () => (chosen === 'ppolicy' ? new PasswordPolicyControl() : undefined),
    signInAnswer: (outcome, reread) => signInAnswer(lock, outcome, reread),
  };
}

function statusOf(lock: LockDialect, entry: LdapEntry): AccountStatus {
  const values = valuesOf(entry, lock.attribute);
  if (values.length === 0) {
    return lock.enabled === undefined ? 'enabled' : 'unknown';
  }
  const held = values[0]?.toLowerCase();
  if (held === lock.disabled.toLowerCase()) {
    return 'disabled';
  }
  return held === lock.enabled?.toLowerCase() ? 'enabled' : lock.otherwise;
}

/**
 * slapd with a password history refuses the secret that an account has already, which a repeated write sends, as a constraint violation. The text alone tells it
 * from a secret that is too short or was there before; in any other words it stays a refusal.
 */
async function unlessHeld(
  write: Promise<void>,
  otherwise: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  try {
    await write;
  } catch (error) {
    const isHeld =
      resultCodeOf(error) === resultCodes.constraintViolation &&
      error instanceof Error &&
      error.message.includes('Password is not being changed from existing value');
    if (!isHeld) throw error;
    await otherwise();
  }
}

function passwordChange(secret: Secret): LdapChange {
  return { operation: 'replace', attribute: 'userPassword', values: [secret.reveal()] };
}

/**
 * The lock beside a new password. OpenLDAP drops the lock of an account whose password is replaced, unless the same
 * request takes it away itself: so an old lock is deleted and set again by name.
 */
function lockAgain(lock: LockDialect, entry: LdapEntry): readonly LdapChange[] {
  const { attribute } = lock;
  const isHeld = valuesOf(entry, attribute).length > 0;
  return lock.passwordUnlocks && isHeld
    ? [
        { operation: 'delete', attribute, values: [] },
        { operation: 'add', attribute, values: [lock.disabled] },
      ]
    : [{ operation: 'replace', attribute, values: [lock.disabled] }];
}

function hasNoLock(lock: LockDialect): Filter {
  return new NotFilter({ filter: new PresenceFilter({ attribute: lock.attribute }) });
}

function isNotLocked(lock: LockDialect): Filter {
  return new NotFilter({ filter: new EqualityFilter({ attribute: lock.attribute, value: lock.disabled }) });
}

/** RFC 4528: the modification happens only while the filter fits the entry. */
class AssertionControl extends Control {
  readonly #filter: Filter;

  constructor(filter: Filter) {
    super('1.3.6.1.1.12', { critical: true });
    this.#filter = filter;
  }

  protected override writeControl(writer: BerWriter): void {
    const value = new Writer();
    this.#filter.write(value);
    writer.writeBuffer(value.buffer, 0x04);
  }
}

/** The request of RFC 3062, for somebody else's password. */
function passwordModify(dn: string, secret: Secret): Buffer {
  const writer = new Writer();
  writer.startSequence();
  writer.writeString(dn, 0x80);
  writer.writeString(secret.reveal(), 0x82);
  writer.endSequence();
  return writer.buffer;
}

async function signInAnswer(
  lock: LockDialect,
  { resultCode, control }: BindOutcome,
  reread: () => Promise<AccountStatus>,
): Promise<Pick<SignInAnswer, 'answer' | 'code'>> {
  const reason = control instanceof PasswordPolicyControl ? control.value?.error : undefined;
  const code = reason === undefined ? String(resultCode) : `${resultCode}:ppolicy-${reason}`;
  if (resultCode === 0) {
    return { answer: 'accepted', code };
  }
  const listed = lock.signIn.find((row) => row.resultCode === resultCode)?.answer;
  if (listed === 'disabled') {
    return { answer: 'disabled', code };
  }
  if (
    listed === 'locked' ||
    (reason === PasswordPolicyError.AccountLocked && resultCode === resultCodes.invalidCredentials)
  ) {
    // The server says locked for both kinds of lock; only the one that never ends is a cut.
    const status = await reread();
    return { answer: status === 'disabled' || status === 'locked' ? status : 'unknown', code };
  }
  return {
    answer: resultCode === resultCodes.invalidCredentials && reason === undefined ? 'wrong-secret' : 'unknown',
    code,
  };
}
