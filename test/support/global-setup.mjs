/** Makes the folder that all workers of one jest run share; servers are started only when a test asks for one. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reap, startOf } from './reaper.mjs';

const prefix = 'tenure-test-';

export default async function setUp() {
  await sweep();
  const folder = mkdtempSync(join(tmpdir(), prefix));
  // Postgres may run as another user (see src/embedded/os-user.ts) and must be able to walk through.
  chmodSync(folder, 0o711);
  const owner = `${process.pid} ${startOf(process.pid)}`;
  writeFileSync(join(folder, 'owner'), owner);
  process.env.TENURE_TEST_RUN = folder;
  process.env.TENURE_TEST_OWNER = owner;
}

/** Removes what runs left behind that were killed before they could tidy up. */
async function sweep() {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(prefix))) {
    const folder = join(tmpdir(), name);
    try {
      const [pid, ...start] = readFileSync(join(folder, 'owner'), 'utf8').split(' ');
      if (startOf(Number(pid)) !== start.join(' ')) await reap(folder);
    } catch {
      // Not a run's folder, or somebody else's.
    }
  }
}
