import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the project. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** @param {string} text one line of progress, on stderr so that stdout stays the programs' own */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Something the person at the keyboard can mend: a sentence and what to do. */
export class SetupError extends Error {}

/** Ends the program with the sentence of a SetupError, or with everything there is to know about a bug. */
export function fail(error) {
  say(error instanceof SetupError ? error.message : String(error?.stack ?? error));
  process.exit(1);
}
