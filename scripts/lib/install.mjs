/** Brings node_modules in line with package-lock.json. Plain Node >= 20, no dependencies: it runs before there are any. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alone } from './alone.mjs';
import { root, say, SetupError } from './root.mjs';

/**
 * Installs what is missing or out of date; also after an install that was interrupted. Does nothing, in some
 * milliseconds, when all is well, so it is safe to call before everything else.
 * @param {string} folder of package-lock.json
 */
export async function ensureInstalled(folder = root) {
  const stamp = join(folder, 'node_modules', '.tenure-installed');
  const wanted = lockHash(folder);
  if (readText(stamp) === wanted) return;
  await alone(join(folder, '.tenure-installing'), 'installs the packages', async () => {
    // The one that this waited for may have done it.
    if (readText(stamp) === wanted) return;
    if (!isComplete(folder)) {
      say('Installing packages (once, about a minute) ...');
      rmSync(stamp, { force: true });
      await npmCi(folder);
      if (!isComplete(folder)) {
        throw new SetupError(
          'npm ci ended well but packages are missing. Remove the folder node_modules and try again.',
        );
      }
    }
    // Written last: whatever interrupts the steps above leaves no stamp, and the next call starts over.
    writeFileSync(stamp, wanted);
  });
}

function lockHash(folder) {
  const lock = readText(join(folder, 'package-lock.json'));
  if (lock === undefined)
    throw new SetupError(`package-lock.json is missing in ${folder}: get a complete copy of Tenure.`);
  return createHash('sha256').update(`${process.platform} ${process.arch}\n`).update(lock).digest('hex');
}

/**
 * npm writes node_modules/.package-lock.json when it has finished; an entry there without its folder was removed since.
 * Optional packages for other systems are in the lock only.
 */
export function isComplete(folder = root) {
  const wanted = readJson(join(folder, 'package-lock.json'))?.packages ?? {};
  const installed = readJson(join(folder, 'node_modules', '.package-lock.json'))?.packages;
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return found.version === entry.version && existsSync(join(folder, path, 'package.json'));
  });
}

async function npmCi(folder) {
  // Under "npm start" this is the npm that runs us; on Windows it also saves a shell.
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  // No install scripts: nothing here needs one, and many machines forbid them.
  const child = spawn(command, [...args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32' && command === 'npm',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise((resolve, reject) => {
    child.once('error', () => reject(new SetupError('npm was not found. Install Node with npm, version 20 or newer.')));
    child.once('close', resolve);
  });
  if (code === 0) return;
  if (/ENOSPC/.test(output)) {
    throw new SetupError(`There is no space left on the disk for the packages. Free about 1.5 GB and try again.`);
  }
  throw new SetupError(
    `The packages could not be installed; npm says:\n${output.trim()}\nThen try the same command again.`,
  );
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readJson(path) {
  const text = readText(path);
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
