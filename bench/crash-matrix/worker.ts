import { runTenureWorker } from '../tenure-worker.js';
import { deskFactory } from './desk-connector.js';

/** Targets at the desk that holds requests and kills. */
await runTenureWorker({ factory: deskFactory, publisher: 'worker', wakesDue: true });
