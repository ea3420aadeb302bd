#!/usr/bin/env node
/** npx tenure: the command line client. Sets up what is missing first; says so on stderr only. */
import { ensureBuilt } from './lib/build.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail } from './lib/root.mjs';

try {
  requireBootstrapNode();
  await ensureInstalled();
  await continueUnderPinnedNode();
  await ensureBuilt();
  await import('../build/src/cli/main.js');
} catch (error) {
  fail(error);
}
