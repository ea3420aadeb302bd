import { afterAll, beforeAll, describe, it } from '@jest/globals';
import type { FreeRadius } from '../systems/freeradius.js';
import { reasonToSkipFreeRadius, startFreeRadius } from '../systems/freeradius.js';
import { describeConformance } from './conformance.js';
import { radiusHarness } from './radius-harness.js';

const reason = await reasonToSkipFreeRadius();
if (reason === undefined) {
  describe('FreeRADIUS', () => {
    let server: FreeRadius;
    beforeAll(async () => {
      server = await startFreeRadius();
    }, 120_000);
    afterAll(() => server?.stop());
    const start = (passwords: 'local' | 'directory') => () => Promise.resolve(radiusHarness(server, passwords));
    describeConformance('radius with passwords of its own', start('local'));
    describeConformance('radius with passwords of the directory', start('directory'), 80);
  });
} else {
  describe('conformance of radius', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
