import { reap } from './reaper.mjs';

export default async function tearDown() {
  if (process.env.TENURE_TEST_RUN !== undefined) await reap(process.env.TENURE_TEST_RUN);
}
