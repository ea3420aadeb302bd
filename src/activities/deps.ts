import type { Logger } from 'pino';
import type { Connector } from '../connectors/connector.js';
import type { ConnectorDeps, ConnectorRegistry } from '../connectors/registry.js';
import type { Database } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { People } from '../planning/people.js';
import type { PolicyStore } from '../planning/policy-store.js';
import type { CanaryAnswers } from './visit/canary.js';

/** What activities are given by the composition root; nothing here is a singleton of a module. */
export interface ActivityDeps {
  readonly db: Database;
  readonly keys: KeyRing;
  readonly people: People;
  readonly policies: PolicyStore;
  readonly connectors: ConnectorPool;
  readonly logger: Logger;
  readonly canaryAnswers: CanaryAnswers;
  /** Whose targets this process reaches beside those that everybody reaches. */
  readonly sites: ReadonlySet<string>;
}

/** Live connectors by application and configuration: a changed policy gets a new connector, the old one is closed when unused. */
export interface ConnectorPool {
  /** What the pool makes connectors of: for one that is made to be tested and closed again. */
  readonly registry: ConnectorRegistry;
  readonly connectorDeps: ConnectorDeps;
  connectorFor(application: ApplicationPolicy, policy: CompiledPolicy): Connector;
  close(): Promise<void>;
}
