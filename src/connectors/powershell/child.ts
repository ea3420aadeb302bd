import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const onWindows = process.platform === 'win32';

/** The folder of the scripts that ship. */
export const scriptsFolder = fileURLToPath(new URL('./scripts', import.meta.url));

/**
 * Starts the host without a shell, in a process group of its own, with the configured environment alone: what the worker has in its
 * own environment (secrets among it) is not handed on.
 */
export function startChild(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): ChildProcessWithoutNullStreams {
  const [program = '', ...args] = command.map((word) => word.replaceAll('{scripts}', scriptsFolder));
  return spawn(program, args, { env: environment, detached: !onWindows, windowsHide: true, stdio: 'pipe' });
}

/** Ends the host and whatever it has started, at once. What left its process group (`setsid`) or runs on another machine is not reached. */
export function killTree(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined) return;
  if (onWindows) {
    // The full path: what is called taskkill in some folder of the worker is not run.
    const taskkill = 'C:\\Windows\\System32\\taskkill.exe';
    spawn(taskkill, ['/PID', String(child.pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true }).on('error', () =>
      child.kill('SIGKILL'),
    );
    return;
  }
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}
