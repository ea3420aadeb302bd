/** What npm start runs once everything is installed and compiled. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig } from '../config.js';
import { errorText, StackError } from './errors.js';
import { runStory } from './story/run-story.js';
import { startStack } from './supervisor.js';
import type { Stack } from './supervisor.js';

const entries = {
  api: fileURLToPath(new URL('../api/main.js', import.meta.url)),
  worker: fileURLToPath(new URL('../worker/main.js', import.meta.url)),
  targets: fileURLToPath(new URL('./targets/main.js', import.meta.url)),
};

/**
 * Starts the stack, runs the story, and stays until told to stop (Ctrl-C, SIGTERM, or the end of the process that
 * started us), or ends by itself with `--exit`.
 * @returns the exit code: 0 all well, 1 something due is not proven or the stack could not run, 2 wrong arguments
 */
export async function main(args: readonly string[]): Promise<number> {
  // A terminal that went away must not end us before the databases are closed.
  process.stdout.on('error', () => undefined);
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const stopping = new AbortController();
  const running: { stack?: Stack } = {};
  listen(stopping, () => running.stack?.hurry(), say);
  try {
    const options = parseArguments(args);
    const config = loadConfig();
    running.stack = await startStack({ config, fresh: options.fresh, entries, say, signal: stopping.signal });
    const story = await runStory({
      config,
      run: running.stack.run,
      say,
      signal: stopping.signal,
      columns: process.stdout.columns,
    });
    if (options.exit) return story.isProven ? 0 : 1;
    if (!stopping.signal.aborted) {
      say('\nTenure is up. Ctrl-C stops it in order.');
      await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve, { once: true }));
    }
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 130;
    return explain(error);
  } finally {
    if (running.stack !== undefined) say('Stopping: work in hand is finished first ...');
    await running.stack?.stop();
    if (running.stack !== undefined) say('Stopped.');
  }
}

/** One Ctrl-C may arrive two or three times: from the terminal, from npm, and from the Node that brought ours. */
const SAME_SIGNAL_MS = 700;

function listen(stopping: AbortController, hurry: () => void, say: (line: string) => void): void {
  let since = 0;
  const onSignal = () => {
    if (!stopping.signal.aborted) {
      since = performance.now();
      stopping.abort(new Error('stopped by the person at the terminal'));
    } else if (performance.now() - since > SAME_SIGNAL_MS) {
      say('Not waiting for work in hand any longer.');
      hurry();
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
  process.once('disconnect', () => stopping.abort(new Error('the starting process is gone')));
}

function parseArguments(args: readonly string[]): { readonly exit: boolean; readonly fresh: boolean } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { exit: { type: 'boolean' }, fresh: { type: 'boolean' } },
    });
    return { exit: values.exit ?? false, fresh: values.fresh ?? false };
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

class UsageError extends Error {}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nnpm start -- --help shows what there is.\n`);
    return 2;
  }
  if (error instanceof StackError) process.stderr.write(`${error.message}\n${error.remedy}\n`);
  else if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
