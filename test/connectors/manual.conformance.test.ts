import { manualFactory } from '../../src/connectors/manual/index.js';
import { Secret } from '../../src/connectors/secret.js';
import { describeConformance } from './conformance.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { Harness } from './kit/harness.js';

/** Nothing can be reached, so there is nothing to look at either: what is left is what the connector says of itself. */
function manualHarness(): Harness {
  const deps = { secrets: () => new Secret('x'), logger: newContext().logger };
  const connector = manualFactory.create('x', { system: 'The key cabinet; ask the porter.' }, deps);
  return {
    name: 'manual',
    connector,
    factory: manualFactory,
    committed: committedCapabilities('manual', 'full'),
    wrongConfig: { config: { system: '', instructions: { burn: 'x' } }, paths: ['system', 'instructions'] },
    sampleAccount: () => ({ objectClass: 'account', login: 'nobody', enabled: true, attributes: {} }),
    trickyAttributes: {},
    unknownAttribute: 'favouriteColour',
    absentNativeId: '1',
    peek: () => Promise.resolve(undefined),
    countByLogin: () => Promise.resolve(0),
    snapshot: () => Promise.resolve(''),
    plant: { enabled: () => Promise.reject(new Error('there is no target')) },
    stop: () => connector.close(),
  };
}

describeConformance('manual', () => Promise.resolve(manualHarness()), 35);
