import { describe, it } from '@jest/globals';
import { reasonToSkipSynapse, startSynapse } from '../systems/synapse.js';
import { describeConformance } from './conformance.js';
import { synapseHarness } from './rest-synapse-harness.js';

const reason = await reasonToSkipSynapse();
if (reason === undefined) {
  describeConformance('rest with the admin API of Synapse', async () => synapseHarness(await startSynapse()));
} else {
  describe('conformance of rest with the admin API of Synapse', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
