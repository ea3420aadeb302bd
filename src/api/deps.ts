import type { Logger } from 'pino';
import type { ConnectorRegistry } from '../connectors/registry.js';
import type { Database } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ConfigCheck } from '../domain/policy/cross-check.js';
import type { Instant } from '../domain/process/ids.js';
import type { ReportSigner } from '../report/signature.js';
import type { PolicyStore } from '../planning/policy-store.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import type { Lifecycle } from './dispatch/lifecycle.js';
import type { Planner } from './identities/planner.js';
import type { ApiMetrics } from './metrics.js';

/** What the API is given by its composition root. One token for Nest, so that a test hands in fakes in one place. */
export interface ApiDeps {
  readonly db: Database;
  readonly keys: KeyRing;
  readonly policies: PolicyStore;
  readonly lifecycle: Lifecycle;
  readonly dispatcher: Dispatcher;
  readonly planner: Planner;
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  /** Connector kind -> check of its configuration, for the policy check. */
  readonly connectorChecks: ReadonlyMap<string, ConfigCheck>;
  /** Asked for capabilities only: the API opens no target. */
  readonly registry: ConnectorRegistry;
  /** Undefined: nobody gave a key, and no report is made. */
  readonly reportSigner?: ReportSigner;
  now(): Instant;
}

export const API_DEPS = Symbol('ApiDeps');
