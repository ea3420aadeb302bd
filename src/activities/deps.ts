import type { Logger } from 'pino';
import type { Capabilities, Connector } from '../connectors/connector.js';
import type { ConnectorDeps, ConnectorRegistry } from '../connectors/registry.js';
import type { Database } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { People } from '../planning/people.js';
import type { PolicyStore } from '../planning/policy-store.js';
import type { ReportSigner } from '../report/signature.js';
import type { CutsFirst } from './lib/cuts-first.js';
import type { CanaryAnswers } from './visit/canary.js';
import type { VisitRows } from './visit/rows.js';
import type { VisitWrites } from './visit/writes.js';

/** What activities are given by the composition root; nothing here is a singleton of a module. */
export interface ActivityDeps {
  readonly db: Database;
  readonly keys: KeyRing;
  readonly people: People;
  readonly policies: PolicyStore;
  readonly connectors: ConnectorPool;
  readonly logger: Logger;
  readonly canaryAnswers: CanaryAnswers;
  /** What all visits of the worker share, so that what they read or write at the same moment is one statement. */
  readonly visitRows: VisitRows;
  readonly visitWrites: VisitWrites;
  readonly cutsFirst: CutsFirst;
  /** Whose targets this process reaches beside those that everybody reaches. */
  readonly sites: ReadonlySet<string>;
  /** Undefined: nobody gave a key, and processes make no reports. */
  readonly reportSigner?: ReportSigner;
  /** Whether notices can be sent; they are kept in any case. */
  readonly isMailConfigured?: boolean;
}

/** Live connectors by application, configuration and credential: when one of these changed there is a new connector, and the old one is closed later. */
export interface ConnectorPool {
  /** What the pool makes connectors of: for one that is made to be tested and closed again. */
  readonly registry: ConnectorRegistry;
  readonly connectorDeps: ConnectorDeps;
  /** Reads ahead what a configuration's `vault:` references stand for. Awaited before a connector is used; never throws: the connector does, when it is opened. */
  prepare(config: unknown, signal: AbortSignal): Promise<void>;
  /** Throws what the factory throws, for instance SecretReferenceError. */
  connectorFor(application: ApplicationPolicy, policy: CompiledPolicy): Connector;
  /** What its connector can do, with whatever credential; undefined when it cannot be made. Asks no Vault: planning waits for none. */
  capabilitiesFor(application: ApplicationPolicy): Capabilities | undefined;
  /** Names the credential of the connector that an application has now; empty when nothing of it is in Vault. */
  credentialOf(application: ApplicationPolicy): string;
  /**
   * The target refused the connector that had this credential: Vault is asked anew. `renewed`: there is another credential by now; `unknown`: Vault cannot be
   * asked now; `same`: a person has to look.
   */
  refused(
    application: ApplicationPolicy,
    credential: string,
    signal: AbortSignal,
  ): Promise<'renewed' | 'same' | 'unknown'>;
  close(): Promise<void>;
}
