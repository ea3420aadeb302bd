import type { Control, Filter } from 'ldapts';
import { FilterParser } from 'ldapts';
import type { AccountStatus, SignInAnswer } from '../../connector.js';
import type { Secret } from '../../secret.js';
import type { LdapChange, LdapDirectory, LdapEntry, LdapSession, NewAttributes } from './client.js';
import type { MappedAttribute } from './config.js';

/** The configuration of any directory, after its kind's own schema. */
export interface DirectoryConfig {
  readonly accounts: {
    readonly base: string;
    readonly container: string;
    readonly filter: string;
    readonly login: string;
    /** The attribute of the RDN; its value is the login. */
    readonly rdn: string;
  };
  readonly attributes: Readonly<Record<string, MappedAttribute>>;
  readonly adoptionKey: string;
  readonly groups:
    | {
        readonly base: string;
        readonly filter: string;
        readonly name: string;
        readonly member: string;
        readonly memberIs: 'dn' | 'login';
        /** The account shows its groups itself, in this attribute. */
        readonly memberOf: string | undefined;
        /** A DN that keeps a group alive which must not be empty; nobody's account. */
        readonly placeholder: string | undefined;
      }
    | undefined;
  readonly archive: { readonly container: string } | undefined;
  readonly searchPageSize: number;
  readonly consistencyWindowMs: number;
}

/** What a bind was answered. */
export interface BindOutcome {
  /** 0 = accepted. */
  readonly resultCode: number;
  /** The server's text, of which a dialect may take a code and nothing else. */
  readonly message: string;
  readonly control: Control | undefined;
}

/** What differs between directory products, as data and pure functions. */
export interface DirectoryDialect {
  readonly road: string;
  readonly nativeId: {
    readonly attribute: string;
    of(entry: LdapEntry): string | undefined;
    /** Undefined: no account can have this id. */
    filter(nativeId: string): Filter | undefined;
  };
  /** Read with every account, for `statusOf` and the changes below. */
  readonly stateAttributes: readonly string[];
  statusOf(entry: LdapEntry): AccountStatus;
  isLogin(login: string): boolean;
  newAccount(login: string, enabled: boolean): NewAttributes;
  /** Changes besides the RDN when the login changes. */
  renameChanges(login: string): readonly LdapChange[];
  /** What is needed for this state; empty when the entry is in it. */
  enabledChanges(entry: LdapEntry, enabled: boolean): readonly LdapChange[];
  /** A new secret and the disabled state, in one modification. */
  seal(session: LdapSession, entry: LdapEntry, secret: Secret): Promise<void>;
  /** Sets the secret; the account's state stays as it is. `forOwner`: a person gets it, and no program. */
  writeSecret(session: LdapSession, entry: LdapEntry, secret: Secret, forOwner: boolean): Promise<void>;
  /** Groups that a member attribute does not show (Active Directory's primary group). */
  hiddenGroup?(session: LdapSession, entry: LdapEntry): Promise<LdapEntry | undefined>;
  /** Before a membership is taken away: makes a hidden group an ordinary one. */
  beforeRemoval?(session: LdapSession, entry: LdapEntry, group: LdapEntry): Promise<void>;
  /** Attributes of groups that the two functions above need. */
  readonly groupAttributes: readonly string[];
  bindName(entry: LdapEntry): string;
  bindControl(): Control | undefined;
  /** `reread` shows the account as it is after the bind. */
  signInAnswer(
    outcome: BindOutcome,
    reread: () => Promise<AccountStatus>,
  ): Promise<Pick<SignInAnswer, 'answer' | 'code'>>;
}

/** Everything the operations of one application share. */
export interface DirectoryContext {
  readonly application: string;
  readonly config: DirectoryConfig;
  readonly dialect: DirectoryDialect;
  readonly directory: LdapDirectory;
  /** Which entries are accounts, and what they are read with: made once, because every operation needs both. */
  readonly accounts: { readonly filter: Filter; readonly attributes: readonly string[] };
}

export function directoryContext(parts: Omit<DirectoryContext, 'accounts'>): DirectoryContext {
  const { config, dialect } = parts;
  const mapped = Object.values(config.attributes).map(({ attribute }) => attribute);
  const memberOf = config.groups?.memberOf;
  const wanted = [dialect.nativeId.attribute, config.accounts.login, ...mapped, ...dialect.stateAttributes];
  const attributes = [...new Set(memberOf === undefined ? wanted : [...wanted, memberOf])];
  return { ...parts, accounts: { filter: FilterParser.parseString(config.accounts.filter), attributes } };
}
