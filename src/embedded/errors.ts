/**
 * The embedded stack cannot go on, for a reason the person at the keyboard can mend.
 * The message is one sentence; `remedy` says what to do. Neither holds a secret.
 */
export class StackError extends Error {
  override readonly name = 'StackError';

  constructor(
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The system's error code (ENOENT, EADDRINUSE ...) or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Text of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Turns what the system says about a folder or a disk into a StackError; other errors come back as they are. */
export function explainFileError(error: unknown, path: string): unknown {
  switch (errorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StackError(
        `There is no space left on the disk that holds ${path}.`,
        'Free some space (Tenure needs about 500 MB) or set TENURE_HOME to a folder on another disk.',
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
      return new StackError(
        `${path} cannot be written.`,
        'Make the folder writable for you, or set TENURE_HOME to a folder that is.',
        { cause: error },
      );
    default:
      return error;
  }
}
