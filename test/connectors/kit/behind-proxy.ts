import type { Connector } from '../../../src/connectors/connector.js';

/** A connector behind a proxy that fails as asked, as a harness hands it to the kit; both end together. What was cut already cannot hold the connector up. */
export function behindProxy<F>(proxy: { readonly fail: F; close(): Promise<void> }, connector: Connector) {
  return {
    connector,
    fail: proxy.fail,
    close: async (): Promise<void> => {
      await proxy.close();
      await connector.close();
    },
  };
}
