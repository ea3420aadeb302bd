/** npm test: sets up what is needed, runs jest with the given arguments, and ends with the totals. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail, root } from './lib/root.mjs';

try {
  requireBootstrapNode();
  await ensureInstalled();
  await continueUnderPinnedNode();
  await ensureBuilt();
  process.exitCode = await runJest(process.argv.slice(2));
} catch (error) {
  fail(error);
}

async function runJest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-totals-'));
  try {
    const file = join(folder, 'totals.json');
    const code = await jest(args, file);
    const totals = readTotals(file);
    if (totals === undefined) {
      // jest --listTests, --showConfig and the like end without results, and well.
      if (code !== 0) process.stdout.write('The tests did not run to their end.\n');
      return code;
    }
    const isMissing = process.env.TENURE_TEST_ALLOW_SKIP === '0' && totals.missing.length > 0;
    if (totals.skipped.length > 0) process.stdout.write(`Skipped:\n${list(totals.skipped)}`);
    if (isMissing)
      process.stdout.write(`TENURE_TEST_ALLOW_SKIP=0: these must not be skipped:\n${list(totals.missing)}`);
    process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped.length} skipped\n`);
    return code === 0 && isMissing ? 1 : code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function list(names) {
  return names.map((name) => `  ${name}\n`).join('');
}

async function jest(args, totalsFile) {
  const program = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const nodeOptions = `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
  const child = spawn(process.execPath, [program, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: nodeOptions.trim(), TENURE_TEST_TOTALS: totalsFile },
  });
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

function readTotals(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
