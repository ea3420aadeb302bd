import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  Capabilities,
  Connector,
  Forwarding,
} from '../../../src/connectors/connector.js';
import type { ConnectorFactory } from '../../../src/connectors/registry.js';
import type { Secret } from '../../../src/connectors/secret.js';
import type { FaultMode } from './fault-proxy.js';
import type { HttpFault } from './http-fault-proxy.js';

/** What an oracle sees at the target itself, by another road than the connector. */
export interface Peeked {
  readonly login: string;
  readonly enabled: boolean;
  readonly attributes: Attributes;
  readonly entitlements: readonly string[];
}

/** What hangs on an account, as the oracle sees it. */
export interface Beyond {
  readonly credentials?: number;
  readonly privileges?: number;
  readonly owned?: number;
  readonly forwarding?: Forwarding | undefined;
}

/** An account that was made, and the secret where the administrator gave one. */
export interface NewAccount {
  readonly ref: AccountRef;
  readonly secret?: Secret;
}

/** One connector against one target, and everything the kit has to know about that target. */
export interface Harness {
  readonly name: string;
  readonly connector: Connector;
  readonly factory: ConnectorFactory;
  /** The capabilities.json entry that this configuration must equal. */
  readonly committed: Capabilities;
  readonly wrongConfig: { readonly config: unknown; readonly paths: readonly string[] };
  /** A new account, never the same twice; without the adoption key's attribute. */
  sampleAccount(): AccountSpec;
  /** For a kind without `create`: the target's administrator makes the account. */
  newAccount?(spec: AccountSpec): Promise<NewAccount>;
  /** For a kind without `delete`: the target's administrator takes the account away. */
  removeAccount?(ref: AccountRef): Promise<void>;
  /** Attributes with quotes, Unicode, long and (where the target has them) multiple values. */
  readonly trickyAttributes: Attributes;
  /** Absent only where no attribute can be written. */
  readonly sampleDelta?: AttributeDelta;
  readonly multiAttribute?: string;
  readonly requiredAttribute?: string;
  readonly unknownAttribute: string;
  readonly absentNativeId: string;
  readonly group?: string;
  /** The target refuses a disabled account before it looks at the secret: whether the old one is gone shows only after an enable. */
  readonly disabledBeforeSecret?: true;
  /** An account is made by several writes: each awaits the marker, and repeating an interrupted create finishes it (`applied`). */
  readonly createsInSteps?: true;
  /** Undefined = no such account. */
  peek(ref: AccountRef): Promise<Peeked | undefined>;
  countByLogin(login: string): Promise<number>;
  /** All accounts and memberships as text, to see that nothing changed. */
  snapshot(): Promise<string>;
  /** Changes the target behind the connector's back. */
  readonly plant: {
    /** Of the attribute that `sampleDelta` names. */
    attribute?(ref: AccountRef, value: string): Promise<void>;
    enabled(ref: AccountRef, enabled: boolean): Promise<void>;
    /** Of the group that `group` names. */
    membership?(ref: AccountRef, held: boolean): Promise<void>;
    /** One second factor or key more, as the person or the target's administrator would make it. */
    credential?(ref: AccountRef): Promise<void>;
    /** One lease, privileged session or checked-out secret more. */
    privilege?(ref: AccountRef): Promise<void>;
    /** One thing more that the account owns. */
    owned?(ref: AccountRef): Promise<void>;
  };
  /** Mail addresses that a forwarding may lead to; where deliveries can be proven, mailboxes that the proof can look into. */
  readonly delegates?: readonly [string, string];
  /** What the target itself shows beside the account; a part that it does not have is absent. */
  peekBeyond?(ref: AccountRef): Promise<Beyond>;
  /** Connectors whose configuration points nowhere, and whose credential is wrong. */
  unreachable?(): Connector;
  wrongCredential?(): Connector;
  /** A connector whose connections go through a proxy that fails as asked. */
  throughProxy?(): Promise<{ connector: Connector; fail(mode: FaultMode): void; close(): Promise<void> }>;
  /** The same through an HTTP proxy, for targets spoken to by HTTP: `writes` fails only what may change something. */
  throughHttpProxy?(): Promise<{
    connector: Connector;
    fail(fault: HttpFault | 'pass', whom?: 'writes' | 'all'): void;
    close(): Promise<void>;
  }>;
  /** A person's own session. */
  openSession?(login: string, secret: Secret): Promise<{ isOpen(): Promise<boolean>; close(): Promise<void> }>;
  stop(): Promise<void>;
}

export interface GroupResult {
  readonly problems: readonly string[];
  readonly skipped: readonly string[];
  readonly checks: number;
}

export type ConformanceGroup = (harness: Harness) => Promise<GroupResult>;
