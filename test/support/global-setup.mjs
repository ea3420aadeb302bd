/** Makes the folder that all workers of one jest run share; servers are started only when a test asks for one. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOf } from './reaper.mjs';

export default function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-test-'));
  // Postgres may run as another user (see src/embedded/os-user.ts) and must be able to walk through.
  chmodSync(folder, 0o711);
  process.env.TENURE_TEST_RUN = folder;
  process.env.TENURE_TEST_OWNER = `${process.pid} ${startOf(process.pid)}`;
}
