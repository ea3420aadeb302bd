import type { PublicKeys } from '../report/signature.js';
import type { SystemInfo } from './systems/sandbox-systems.js';

/** What run.json holds while the stack is up, and for as long as nobody tidied up after a crash. */
export interface RunInfo {
  readonly api: string;
  readonly docs: string;
  /** Missing when Temporal was brought. */
  readonly temporalUi?: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** Owner of Tenure's database; a secret, like the token. */
  readonly postgresUrl: string;
  readonly token: string;
  /** Public: what `tenure report verify` checks signatures with. */
  readonly reportKeys: PublicKeys;
  /** The sandbox targets, for looking at them past Tenure; secrets. */
  readonly sandbox: {
    readonly directoryUrl: string;
    readonly wikiUrl: string;
    readonly scimToken: string;
    readonly erpUrl: string;
    readonly systems: readonly SystemInfo[];
  };
}
