/** npm start: the whole stack with one command. */
import { ensureBuilt } from './lib/build.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail } from './lib/root.mjs';

const usage = `npm start [-- OPTIONS]

Starts Tenure with everything it needs (Postgres, Temporal, sandbox target systems, API, worker), runs the sample
company's story through it, and stays up until Ctrl-C. Data are kept in .tenure between runs.

  --exit    end after the story: 0 when everything due is proven, 1 otherwise
  --fresh   stop what still runs and throw away what Tenure keeps in TENURE_HOME, then start
  --help    this text

Everything can be moved: TENURE_HOME, TENURE_PORT, TENURE_TEMPORAL_PORT, TENURE_TEMPORAL_UI_PORT, TENURE_POSTGRES_PORT
(0: any free port), TENURE_POLICY_DIR. TENURE_SANDBOX=embedded starts no real slapd, Keycloak and sshd. Bring your own: TENURE_DATABASE_URL, TEMPORAL_ADDRESS. See .env.example.
`;

try {
  requireBootstrapNode();
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(usage);
    process.exit(0);
  }
  await ensureInstalled();
  await continueUnderPinnedNode();
  await ensureBuilt();
  const { main } = await import('../build/src/embedded/main.js');
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  fail(error);
}
