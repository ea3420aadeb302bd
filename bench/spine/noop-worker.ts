import { noopFactory } from '../noop-connector.js';
import { runTenureWorker } from '../tenure-worker.js';

/** Targets in memory. */
await runTenureWorker({ factory: noopFactory, publisher: 'bench', wakesDue: false });
