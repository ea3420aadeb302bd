import { policyOverlayFolder } from './home.js';
import type { Config } from '../config.js';
import { inheritedEnvironment, referenceText } from '../config.js';
import type { DatabaseUrls } from './databases.js';
import type { Ports } from './ports.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** What the children's configuration is made of. */
export interface StackFacts {
  readonly config: Config;
  readonly ports: Ports;
  readonly urls: DatabaseUrls;
  readonly token: string;
  readonly temporalAddress: string;
  /** Superuser of the embedded Postgres; undefined when the server was brought. */
  readonly adminUrl: string | undefined;
}

/** The API signs in to Postgres as app, and as auditor for what only reads; never as the owner. */
export function apiEnvironment(facts: StackFacts): Variables {
  return { ...common(facts), TENURE_SANDBOX_TOKEN: facts.token };
}

/** As the API, without a token: the worker has no door. */
export function workerEnvironment(facts: StackFacts): Variables {
  return common(facts);
}

/** The targets are other people's systems: they get a Postgres of their own choice to live in, and nothing of Tenure's. */
export function targetsEnvironment(facts: StackFacts): Variables {
  return {
    ...without(inherited(facts.config), /^TENURE_(VAULT|SMTP)_/),
    TENURE_HOME: facts.config.home,
    TENURE_SANDBOX_POSTGRES_URL: facts.adminUrl ?? facts.urls.owner,
    // Fixed, so that targets that are started again are where the workers look for them.
    TENURE_TARGETS_SCIM_PORT: String(facts.ports.scim),
    TENURE_TARGETS_WIKI_PORT: String(facts.ports.wiki),
  };
}

function common(facts: StackFacts): Variables {
  const { config, urls } = facts;
  const temporal =
    config.temporal.mode === 'brought'
      ? {}
      : { TEMPORAL_ADDRESS: facts.temporalAddress, TEMPORAL_NAMESPACE: config.temporal.namespace };
  return {
    ...inherited(config),
    ...temporal,
    TENURE_HOME: config.home,
    TENURE_POLICY_DIR: config.policyDir,
    TENURE_POLICY_OVERLAY: policyOverlayFolder(config.home),
    TENURE_HOST: config.api.host,
    TENURE_PORT: String(facts.ports.api),
    TENURE_DATABASE_APP_URL: urls.app,
    TENURE_DATABASE_AUDITOR_URL: urls.auditor,
    TENURE_MASTER_KEY: referenceText(config.masterKey),
    // Both make reports: the API when it is asked, the worker for a process.
    TENURE_REPORT_KEY: referenceText(config.reportKey.reference),
  };
}

/** The caller's environment without what would give a child rights it must not have, or another Temporal. */
function inherited(config: Config): Variables {
  const withheld = (name: string) =>
    /^TENURE_(DATABASE|SANDBOX|TARGETS)_/.test(name) ||
    (config.temporal.mode === 'embedded' && name.startsWith('TEMPORAL_'));
  return Object.fromEntries(Object.entries(inheritedEnvironment()).filter(([name]) => !withheld(name)));
}

function without(variables: Variables, names: RegExp): Variables {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.test(name)));
}
