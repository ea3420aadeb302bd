/** Documented exit codes of the `tenure` command. MAINTENANCE: docs/api.md. */
export const EXIT = {
  ok: 0,
  /** Something failed, or not everything was taken (rejected rows, findings of a check). */
  failure: 1,
  /** The command line or a file given to it is wrong. */
  usage: 2,
  notFound: 3,
  /** The server refused: not allowed, decided already, in conflict. */
  refused: 4,
  unreachable: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with one message and one code. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
