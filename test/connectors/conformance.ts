import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  anonymiseGroup,
  forwardingGroup,
  otherCredentialsGroup,
  ownershipGroup,
  privilegesGroup,
} from './kit/groups-beyond.js';
import { cancelGroup, concurrencyGroup, errorsGroup, secrecyGroup } from './kit/groups-faults.js';
import { descriptorGroup, getFindGroup, healthGroup, listGroup, verifyGroup } from './kit/groups-read.js';
import {
  archiveGroup,
  createGroup,
  credentialsGroup,
  deleteGroup,
  disableGroup,
  membershipGroup,
  sealGroup,
  updateGroup,
} from './kit/groups-write.js';
import type { ConformanceGroup, Harness } from './kit/harness.js';

/** All groups of the kit, in the order in which they run. Each is a plain function, so that its failing can be tested. */
export const conformanceGroups = {
  descriptor: descriptorGroup,
  health: healthGroup,
  list: listGroup,
  'get and find': getFindGroup,
  create: createGroup,
  update: updateGroup,
  'disable and enable': disableGroup,
  seal: sealGroup,
  archive: archiveGroup,
  delete: deleteGroup,
  membership: membershipGroup,
  'sessions and credentials': credentialsGroup,
  'other credentials': otherCredentialsGroup,
  privileges: privilegesGroup,
  ownership: ownershipGroup,
  forwarding: forwardingGroup,
  anonymise: anonymiseGroup,
  verify: verifyGroup,
  errors: errorsGroup,
  cancel: cancelGroup,
  secrecy: secrecyGroup,
  concurrency: concurrencyGroup,
} as const satisfies Readonly<Record<string, ConformanceGroup>>;

export type ConformanceGroupName = keyof typeof conformanceGroups;

/**
 * Runs the kit as jest tests. What a connector does not declare is skipped by name and printed at the end; a connector
 * for which fewer than `leastChecks` checks ran fails.
 */
export function describeConformance(name: string, start: () => Promise<Harness>, leastChecks = 100): void {
  describe(`conformance of ${name}`, () => {
    let harness: Harness | undefined;
    const skipped: string[] = [];
    let checks = 0;
    beforeAll(async () => {
      harness = await start();
      // A server of Java takes its time on a busy machine.
    }, 300_000);
    afterAll(async () => {
      await harness?.stop();
      if (skipped.length > 0) {
        process.stdout.write(`conformance of ${name}, not applicable: ${skipped.join('; ')}\n`);
      }
    });
    for (const [groupName, run] of Object.entries(conformanceGroups)) {
      it(
        groupName,
        async () => {
          if (harness === undefined) {
            throw new Error('the harness did not start');
          }
          const result = await run(harness);
          checks += result.checks;
          skipped.push(...result.skipped.map((what) => `${groupName}: ${what}`));
          expect(result.problems).toEqual([]);
        },
        240_000,
      );
    }
    it('was really tried', () => {
      expect(checks).toBeGreaterThanOrEqual(leastChecks);
    });
  });
}
