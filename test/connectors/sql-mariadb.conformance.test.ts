import { afterAll, beforeAll, describe, it } from '@jest/globals';
import type { MariaDb } from '../systems/mariadb.js';
import { reasonToSkipMariaDb, startMariaDb } from '../systems/mariadb.js';
import { describeConformance } from './conformance.js';
import { mariadbHarness, mariadbProcedures, softDelete } from './sql-mariadb-harness.js';

const reason = await reasonToSkipMariaDb();
if (reason === undefined) {
  describe('MariaDB', () => {
    let server: MariaDb;
    beforeAll(async () => {
      server = await startMariaDb();
    }, 120_000);
    afterAll(() => server?.stop());
    const start = (options: Readonly<Record<string, unknown>>) => () =>
      Promise.resolve(mariadbHarness(server, options));
    describeConformance('sql with MariaDB', start({}));
    describeConformance('sql with MariaDB by procedures', start(mariadbProcedures));
    describeConformance('sql with MariaDB and a soft delete', start(softDelete));
  });
} else {
  describe('conformance of sql with MariaDB', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
