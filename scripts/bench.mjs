/** npm run bench -- NAME: sets up what is needed and measures. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt } from './lib/build.mjs';
import { compileFolder, copyBeside } from './lib/compile.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { continueUnderPinnedNode, requireBootstrapNode } from './lib/node.mjs';
import { fail, root, say, SetupError } from './lib/root.mjs';

const usage = `npm run bench -- NAME [OPTIONS]

Measures Tenure on servers of its own (in a temporary folder, gone afterwards).
Progress goes to stderr, one JSON document to stdout. docs/performance.md says what the figures mean.

  spine               engine overhead, costs per process, joiners and cuts on the sandbox targets
    --people N          people per round (default 100)
    --rounds N          rounds, of which medians are taken (default 3)
    --concurrency N     people at once under load on the targets (default 16)
    --idle-people N     people one at a time (default 20)

  connectors          operations of each connector kind beside the same client calls made by hand
    --people N          accounts per group; a round has two groups on either side (default 20)
    --rounds N          rounds (default 3)
    --kinds A,B         these kinds alone; those without a system on this machine are skipped by name

  queues              many applications on one worker: a queue each, or one with fairness keys
    --applications N    applications (default 200)
    --people N          visits per application under load (default 10)
    --rounds N          rounds (default 3)

  kill-switch         from the call of a cut to every Tier 1 proof
    --parts A,B         row (cuts in a row), backlog (the same behind joiners), many (people at once); default: all
    --cuts N            cuts in a row (default 200)
    --accounts N        accounts of each person who is cut in a row (default 20)
    --backlog N         joiners that wait before the cuts behind them (default 10000)
    --backlog-cuts N    cuts behind them (default 60)
    --people N          people who are cut at once (default 1000)

  instants            from the instant at which somebody is due to the start of their process
    --waiting N         people who sleep in workflows meanwhile (default 10000)
    --parked N          people in Postgres, due beyond the horizon (default 90000)
    --sample N          people who fall due, twice (default 200)

  --out FILE          write the JSON document to FILE as well
  --help              this text
`;

/** Defaults of the numbers that each bench takes. */
const benches = {
  spine: { people: 100, rounds: 3, concurrency: 16, 'idle-people': 20 },
  connectors: { people: 20, rounds: 5 },
  queues: { applications: 200, people: 10, rounds: 3 },
  instants: { waiting: 10_000, parked: 90_000, sample: 200 },
  'kill-switch': { cuts: 200, accounts: 20, backlog: 10_000, 'backlog-cuts': 60, people: 1_000 },
};

/** Options that are no numbers. */
const texts = ['kinds', 'parts', 'out'];
const killSwitchParts = ['row', 'backlog', 'many'];

try {
  requireBootstrapNode();
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
  } else {
    await ensureInstalled();
    await continueUnderPinnedNode();
    await ensureBuilt();
    await compileFolder('bench');
    await run(options);
  }
  process.exit(0);
} catch (error) {
  fail(error);
}

async function run({ bench, ...options }) {
  if (bench === 'connectors') return withTestSystems(options);
  await bundle('spine', 'bare');
  if (bench === 'queues') {
    await bundle('queues', 'probe');
    const { runQueues } = await import('../build/bench/queues/main.js');
    return runQueues(options);
  }
  if (bench === 'kill-switch') {
    const { runKillSwitch } = await import('../build/bench/kill-switch/main.js');
    return runKillSwitch(options);
  }
  if (bench === 'instants') {
    const { runInstants } = await import('../build/bench/instants/main.js');
    return runInstants(options);
  }
  const { runSpine } = await import('../build/bench/spine/main.js');
  return runSpine(options);
}

/** The real systems are those of the tests, in a folder that goes with all of them. */
async function withTestSystems(options) {
  for (const folder of ['support', 'systems', 'connectors']) await compileFolder(join('test', folder));
  copyBeside(join('docs', 'connectors', 'vault.md'));
  const { default: setUp } = await import('../test/support/global-setup.mjs');
  const { default: tearDown } = await import('../test/support/global-teardown.mjs');
  await setUp();
  try {
    const { runConnectors } = await import('../build/bench/connectors/main.js');
    await runConnectors(options);
  } finally {
    await tearDown();
  }
}

function readOptions(args) {
  const number = (name, text, fallback) => {
    const value = text === undefined ? fallback : Number(text);
    if (!Number.isInteger(value) || value < 1) throw new SetupError(`--${name} must be a whole number from 1.`);
    return value;
  };
  try {
    const names = [...new Set(Object.values(benches).flatMap((numbers) => Object.keys(numbers))), ...texts];
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) return undefined;
    const bench = positionals.join();
    const defaults = benches[bench];
    if (defaults === undefined)
      throw new SetupError(
        `Say which bench: ${Object.keys(benches)
          .map((name) => `npm run bench -- ${name}`)
          .join(', ')} (or --help).`,
      );
    const lists = { connectors: ['kinds'], 'kill-switch': ['parts'] }[bench] ?? [];
    const allowed = new Set([...Object.keys(defaults), 'out', ...lists]);
    const wrong = Object.keys(values).find((name) => !allowed.has(name));
    if (wrong !== undefined) throw new SetupError(`${bench} has no --${wrong}.`);
    const parts = values.parts?.split(',') ?? killSwitchParts;
    const unknown = parts.find((name) => !killSwitchParts.includes(name));
    if (unknown !== undefined) throw new SetupError(`${bench} has no part ${unknown}.`);
    const numbers = Object.entries(defaults).map(([name, fallback]) => [
      name.replace(/-(.)/g, (_all, letter) => letter.toUpperCase()),
      number(name, values[name], fallback),
    ]);
    return {
      bench,
      ...Object.fromEntries(numbers),
      only: values.kinds?.split(','),
      parts,
      out: values.out,
      command: `npm run bench -- ${args.join(' ')}`,
    };
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`${error.message}\n\n${usage}`);
  }
}

/** build/bench/FOLDER/NAME-bundle.js from NAME-workflows.js. */
async function bundle(name, prefix) {
  const folder = join(root, 'build', 'bench', name);
  const target = join(folder, `${prefix}-bundle.js`);
  const source = join(folder, `${prefix}-workflows.js`);
  const { version } = JSON.parse(
    readFileSync(join(root, 'node_modules', '@temporalio', 'workflow', 'package.json'), 'utf8'),
  );
  const wanted = createHash('sha256').update(version).update(readFileSync(source)).digest('hex');
  const stamp = `${target}.stamp`;
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say(`Bundling the ${prefix} workflows ...`);
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({ workflowsPath: source, logger: new DefaultLogger('ERROR') });
  writeFileSync(`${target}.${process.pid}`, code);
  renameSync(`${target}.${process.pid}`, target);
  writeFileSync(stamp, wanted);
}
