/** Compiles the sources and the workflow bundle when they have changed. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { alone } from './alone.mjs';
import { root, say, SetupError } from './root.mjs';

const assets = new Set(['.json', '.sql', '.yaml', '.yml', '.html', '.css', '.svg', '.csv', '.ps1']);

/**
 * Brings build/ up to date: build/src/... from src/, and build/workflow-bundle.js. Nothing is done when a hash over
 * the sources says so. An interrupted build leaves no stamp and is made again.
 * @param {{ force?: boolean }} options
 * @returns {Promise<boolean>} true when something was built
 */
export async function ensureBuilt({ force = false } = {}) {
  const stamp = join(root, 'build', '.stamp');
  const wanted = sourceHash();
  const isFresh = () => !force && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (isFresh()) return false;
  mkdirSync(dirname(stamp), { recursive: true });
  return alone(join(root, 'build', '.building'), 'compiles', async () => {
    // The one that this waited for may have done it.
    if (isFresh()) return false;
    say('Compiling ...');
    rmSync(stamp, { force: true });
    compile();
    await bundleWorkflows({ force });
    writeFileSync(stamp, wanted);
    return true;
  });
}

function compile() {
  // Made aside and put in place at the end, so that a running stack never sees half a build.
  const partial = join(root, 'build', `.partial-${process.pid}`);
  rmSync(partial, { recursive: true, force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  // Types are checked by "npm run check"; here they would only cost time.
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--noCheck', '--outDir', partial];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (result.status !== 0) throw new SetupError(`The sources do not compile:\n${result.stdout}${result.stderr}`);
  for (const file of files(join(root, 'src')).filter((name) => assets.has(extname(name)))) {
    const target = join(partial, relative(root, file));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(file, target);
  }
  const target = join(root, 'build', 'src');
  rmSync(target, { recursive: true, force: true });
  renameSync(join(partial, 'src'), target);
  rmSync(partial, { recursive: true, force: true });
}

/** Bundles build/src/workflows into build/workflow-bundle.js unless nothing that can be in it has changed. */
async function bundleWorkflows({ force }) {
  const entry = join(root, 'build', 'src', 'workflows', 'index.js');
  if (!existsSync(entry)) return;
  const bundle = join(root, 'build', 'workflow-bundle.js');
  const stamp = `${bundle}.stamp`;
  const wanted = hashOf([
    ...files(join(root, 'build', 'src', 'workflows')),
    ...files(join(root, 'build', 'src', 'domain')),
    join(root, 'node_modules', '@temporalio', 'workflow', 'package.json'),
  ]);
  if (!force && existsSync(bundle) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const { bundleWorkflowCode, DefaultLogger } = await import(
    pathToFileURL(join(root, 'node_modules', '@temporalio', 'worker', 'lib', 'index.js')).href
  );
  const problems = [];
  const logger = new DefaultLogger('WARN', (entry) => problems.push(entry.message));
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath: entry, logger });
    writeFileSync(`${bundle}.partial`, code);
    renameSync(`${bundle}.partial`, bundle);
    writeFileSync(stamp, wanted);
  } catch (error) {
    throw new SetupError(`The workflow bundle could not be made: ${error?.message ?? error}\n${problems.join('\n')}`);
  }
}

function sourceHash() {
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(root, name));
  return hashOf([...files(join(root, 'src')), ...settings, ...files(join(root, 'scripts', 'lib'))]);
}

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths)
    hash
      .update(`${relative(root, path)}\0`)
      .update(readFileSync(path))
      .update('\0');
  return hash.digest('hex');
}

/** All files below a folder, in a fixed order. */
function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
