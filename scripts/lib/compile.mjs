/** Programs that are no part of what ships: benches, and what they use of the tests. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './root.mjs';

/** build/FOLDER from FOLDER, beside build/src; what is no TypeScript goes along as it is. */
export async function compileFolder(folder) {
  const { transformFile } = await import('@swc/core');
  for (const source of filesOf(join(root, folder), /\.(mjs|yaml|json)$/)) copyBeside(relative(root, source));
  for (const source of filesOf(join(root, folder), /(?<!\.test)\.ts$/)) {
    const target = join(root, 'build', relative(root, source)).replace(/\.ts$/, '.js');
    const { code } = await transformFile(source, {
      swcrc: false,
      sourceMaps: 'inline',
      jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    if (existsSync(target) && readFileSync(target, 'utf8') === code) continue;
    mkdirSync(dirname(target), { recursive: true });
    // Made aside and put in place whole, for a bench that may run already.
    writeFileSync(`${target}.${process.pid}`, code);
    renameSync(`${target}.${process.pid}`, target);
  }
}

export function copyBeside(path) {
  mkdirSync(join(root, 'build', dirname(path)), { recursive: true });
  cpSync(join(root, path), join(root, 'build', path));
}

function filesOf(folder, pattern) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
