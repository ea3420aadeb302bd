import { Command, CommanderError } from 'commander';
import { ConfigError, inheritedEnvironment } from '../config.js';
import type { Config } from '../config.js';
import { addAppCommands } from './app-commands.js';
import { CliContext } from './context.js';
import type { GlobalOptions } from './context.js';
import { addCutCommands } from './cut-commands.js';
import { addErasureCommands } from './erasure-commands.js';
import { CliError, EXIT } from './exit.js';
import type { ExitCode } from './exit.js';
import { addHrCommands } from './hr-commands.js';
import type { Terminal } from './output.js';
import { addHoldCommands } from './hold-commands.js';
import { addMigrationCommands } from './migration-commands.js';
import { addPeopleCommands } from './people-commands.js';
import { addReportCommands } from './report-commands.js';
import { addServiceAccountCommands } from './service-account-commands.js';
import { addSystemCommands } from './system-commands.js';
import { addWorkCommands } from './work-commands.js';
import { addWorkerCommand } from './worker-command.js';

/** Runs one command line and gives its exit code; throws nothing. `argv` without the program's name. */
export async function runCli(
  argv: readonly string[],
  environment: {
    readonly config: () => Config;
    readonly terminal: Terminal;
    readonly variables?: Readonly<Record<string, string | undefined>>;
  },
): Promise<ExitCode> {
  const { terminal } = environment;
  try {
    const program = new Command('tenure');
    const context = new CliContext(
      environment.config(),
      terminal,
      () => program.opts<GlobalOptions>(),
      environment.variables ?? inheritedEnvironment(),
    );
    program
      .description('Identity lifecycle from the command line')
      .option('--url <url>', 'address of the API (default: the stack that npm start runs)')
      .option('--token <token>', 'API token')
      .option('--json', 'results as JSON')
      .addHelpText(
        'after',
        '\nExit codes: 0 done, 1 failed or not all taken, 2 wrong usage or file, 3 not found, 4 refused, 5 server unreachable.',
      );
    addHrCommands(program, context);
    addPeopleCommands(program, context);
    addHoldCommands(program, context);
    addCutCommands(program, context);
    addErasureCommands(program, context);
    addMigrationCommands(program, context);
    addWorkCommands(program, context);
    addReportCommands(program, context);
    addServiceAccountCommands(program, context);
    addSystemCommands(program, context);
    addWorkerCommand(program, context);
    addAppCommands(program, context);
    prepare(program, terminal);
    await program.parseAsync([...argv], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return explain(error, terminal);
  }
}

/** Errors come back here instead of ending the process, and every command takes the global options. */
function prepare(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => terminal.out(text.trimEnd()),
    writeErr: (text) => terminal.err(text.trimEnd()),
  });
  for (const child of command.commands) prepare(child, terminal);
}

function explain(error: unknown, terminal: Terminal): ExitCode {
  // Commander has told it already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CliError) {
    terminal.err(error.message);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    terminal.err(error.message);
    return EXIT.usage;
  }
  terminal.err(error instanceof Error ? error.message : String(error));
  return EXIT.failure;
}
