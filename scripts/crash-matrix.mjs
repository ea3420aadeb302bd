/** npm run crash-matrix: kill -9 in the middle of every operation of a leaver, effects counted at the targets. */
import { parseArgs } from 'node:util';
import { ensureBuilt } from './lib/build.mjs';
import { compileFolder } from './lib/compile.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail, SetupError } from './lib/root.mjs';

const usage = `npm run crash-matrix [-- OPTIONS]

Kills worker, API, Postgres and Temporal before, during and after each operation of a leaver, on a stack of its own (in a temporary folder, gone afterwards),
and counts at the targets what each person's leaver did: nothing may be lost, nothing done twice. Progress goes to stderr. Ends with 1 when a cell is not well.

  --cells LIST      these cells only, by number: 1-33,40 (1 to 132: victim by victim, moment by moment, kind by kind)
  --only KIND       cells of this operation kind only, for instance check-in
  --json            the JSON document instead of the table
  --out FILE        write the JSON document to FILE as well; cells that FILE has already are not run again
  --help            this text
`;

try {
  requireBootstrapNode();
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    process.exit(0);
  }
  await ensureInstalled();
  await continueUnderPinnedNode();
  await ensureBuilt();
  await compileFolder('bench');
  const { runCrashMatrix } = await import('../build/bench/crash-matrix/main.js');
  process.exit(await runCrashMatrix(options));
} catch (error) {
  fail(error);
}

function readOptions(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        cells: { type: 'string' },
        only: { type: 'string' },
        json: { type: 'boolean', default: false },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) return undefined;
    if (values.cells !== undefined && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(values.cells))
      throw new SetupError('--cells takes numbers and ranges, for instance 1-33,40.');
    const { cells, only, json, out } = values;
    return {
      cells,
      only,
      json,
      out,
      command: ['npm run crash-matrix', ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
    };
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`${error.message}\n\n${usage}`);
  }
}
