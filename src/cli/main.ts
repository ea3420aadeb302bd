import { loadConfig } from '../config.js';
import { processTerminal } from './output.js';
import { runCli } from './program.js';

// exitCode and not exit: what is still being written to a pipe is not cut off.
process.exitCode = await runCli(process.argv.slice(2), { config: () => loadConfig(), terminal: processTerminal() });
