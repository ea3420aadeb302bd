import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { inheritedEnvironment } from '../config.js';
import type { CliContext } from './context.js';
import { EXIT } from './exit.js';

const WORKER = fileURLToPath(new URL('../worker/main.js', import.meta.url));

/** `worker`: a worker process on this machine, for instance where a directory stands that takes no connection from outside. */
export function addWorkerCommand(program: Command, context: CliContext): void {
  program
    .command('worker')
    .description('runs a worker here until it is told to end; needs the servers’ addresses in the environment')
    .option('--queues <queues>', 'serve these queues alone, e.g. site-paris (several with commas)')
    .addHelpText(
      'after',
      '\nIt reaches out to Temporal (TEMPORAL_ADDRESS) and Postgres (TENURE_DATABASE_APP_URL) with TENURE_MASTER_KEY; nothing connects to it.',
    )
    .action(async ({ queues }: { readonly queues?: string }) => {
      const env = { ...inheritedEnvironment(), ...(queues === undefined ? {} : { TENURE_WORKER_QUEUES: queues }) };
      const child = spawn(process.execPath, [WORKER], { env, stdio: 'inherit' });
      const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
      process.on('SIGTERM', forward).on('SIGINT', forward);
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('exit', resolve);
      });
      process.off('SIGTERM', forward).off('SIGINT', forward);
      if (code !== 0) context.exitCode = EXIT.failure;
    });
}
