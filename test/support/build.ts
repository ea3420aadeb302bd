import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url));

/** Folder of the project, with build/ up to date in it (compiled sources and build/workflow-bundle.js). */
export async function ensureBuild(): Promise<string> {
  await run(process.execPath, [program], { env: { ...process.env, NODE_OPTIONS: '' } });
  return fileURLToPath(new URL('../../', import.meta.url));
}
