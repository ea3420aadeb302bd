/** Finds the Node that Tenure runs under and goes on there. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root, SetupError } from './root.mjs';

const oldestForBootstrap = [20, 0];
const oldestForTenure = [24, 9];

/** @throws SetupError when this Node cannot even install the rest */
export function requireBootstrapNode(version = process.versions.node) {
  if (isAtLeast(version, oldestForBootstrap)) return;
  throw new SetupError(
    `Tenure needs Node 20 or newer to begin with, and this is ${version}. Install Node 24 and try again.`,
  );
}

/**
 * Goes on under the Node that npm brought, in a child that gets our arguments, terminal and signals; resolves only when
 * we already are that Node (or one as good, where npm has none for this system). The child is told of our end, even of
 * a sudden one, by its closed channel.
 */
export async function continueUnderPinnedNode(folder = root) {
  const pinned = pinnedNode(folder);
  if (pinned === undefined || samePath(pinned.path) || pinned.version === process.version) {
    if (isAtLeast(process.versions.node, oldestForTenure)) return;
    throw new SetupError(
      `Tenure needs Node 24.9 or newer, this is ${process.version}, and npm has no Node for ${process.platform}-${process.arch}. ` +
        'Install Node 24 and try again.',
    );
  }
  const child = spawn(pinned.path, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, TENURE_PARENT_IPC: '1' },
  });
  // The child decides what a signal means. Ctrl-C in a terminal reaches both of us: the child takes that for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [code, signal] = await new Promise((resolve) => child.once('exit', (...ending) => resolve(ending)));
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
}

/** @returns {{path: string, version: string} | undefined} npm's Node for this system, if it is there and runs here */
export function pinnedNode(folder = root) {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const program = process.platform === 'win32' ? 'node.exe' : 'node';
  const path = join(folder, 'node_modules', `node-${platform}-${process.arch}`, 'bin', program);
  if (!existsSync(path)) return undefined;
  const result = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? { path, version: result.stdout.trim() } : undefined;
}

function samePath(path) {
  return process.execPath === path;
}

function isAtLeast(version, [major, minor]) {
  const [thisMajor, thisMinor] = version.split('.').map(Number);
  return thisMajor > major || (thisMajor === major && thisMinor >= minor);
}
