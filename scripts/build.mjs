/** npm run build: compiles the sources and the workflow bundle. --force: even when nothing changed. */
import { ensureBuilt } from './lib/build.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail, say } from './lib/root.mjs';

try {
  requireBootstrapNode();
  await ensureInstalled();
  await continueUnderPinnedNode();
  const built = await ensureBuilt({ force: process.argv.includes('--force') });
  say(built ? 'Built.' : 'The build is up to date.');
} catch (error) {
  fail(error);
}
