/** npm run bench -- NAME: sets up what is needed and measures. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt } from './lib/build.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail, root, say, SetupError } from './lib/root.mjs';

const usage = `npm run bench -- spine [OPTIONS]

Measures Tenure on servers of its own (Postgres, Temporal, sandbox targets in a temporary folder, gone afterwards).
Progress goes to stderr, one JSON document to stdout. docs/performance.md says what the figures mean.

  spine               engine overhead, costs per process, joiners and cuts on the sandbox targets

  --people N          people per round (default 100)
  --rounds N          rounds, of which medians are taken (default 3)
  --concurrency N     people at once under load on the targets (default 16)
  --idle-people N     people one at a time (default 20)
  --out FILE          write the JSON document to FILE as well
  --help              this text
`;

try {
  requireBootstrapNode();
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
  } else {
    await ensureInstalled();
    await continueUnderPinnedNode();
    await ensureBuilt();
    await compileBenches();
    await bundleBareWorkflows();
    const { runSpine } = await import('../build/bench/spine/main.js');
    await runSpine(options);
  }
  process.exit(0);
} catch (error) {
  fail(error);
}

function readOptions(args) {
  const number = (name, text, fallback) => {
    const value = text === undefined ? fallback : Number(text);
    if (!Number.isInteger(value) || value < 1) throw new SetupError(`--${name} must be a whole number from 1.`);
    return value;
  };
  try {
    const options = Object.fromEntries(
      ['people', 'rounds', 'concurrency', 'idle-people', 'out'].map((name) => [name, { type: 'string' }]),
    );
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return undefined;
    if (positionals.join() !== 'spine') throw new SetupError('Say which bench: npm run bench -- spine (or --help).');
    return {
      people: number('people', values.people, 100),
      rounds: number('rounds', values.rounds, 3),
      concurrency: number('concurrency', values.concurrency, 16),
      idlePeople: number('idle-people', values['idle-people'], 20),
      out: values.out,
      command: `npm run bench -- ${args.join(' ')}`,
    };
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`${error.message}\n\n${usage}`);
  }
}

/** build/bench from bench, beside build/src. */
async function compileBenches() {
  const { transformFile } = await import('@swc/core');
  for (const source of typescriptFiles(join(root, 'bench'))) {
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

async function bundleBareWorkflows() {
  const folder = join(root, 'build', 'bench', 'spine');
  const bundle = join(folder, 'bare-bundle.js');
  const { version } = JSON.parse(
    readFileSync(join(root, 'node_modules', '@temporalio', 'workflow', 'package.json'), 'utf8'),
  );
  const wanted = createHash('sha256')
    .update(version)
    .update(readFileSync(join(folder, 'bare-workflows.js')))
    .digest('hex');
  const stamp = `${bundle}.stamp`;
  if (existsSync(bundle) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Bundling the bare workflows ...');
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(folder, 'bare-workflows.js'),
    logger: new DefaultLogger('ERROR'),
  });
  writeFileSync(`${bundle}.${process.pid}`, code);
  renameSync(`${bundle}.${process.pid}`, bundle);
  writeFileSync(stamp, wanted);
}

function typescriptFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}
