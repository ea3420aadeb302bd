import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Resident memory of one process in MB. Linux only; 0 elsewhere. */
export function residentMb(pid: number): number {
  try {
    const [, kb = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Math.round(Number(kb) / 1024);
  } catch {
    return 0;
  }
}

/** Established TCP connections of a process to a port of this machine. Linux only; 0 elsewhere. */
export function connectionsTo(pid: number, port: number): number {
  try {
    const sockets = new Set(
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`)) ?? [];
        return inode === undefined ? [] : [inode];
      }),
    );
    return readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , remote = '', state, , , , , , inode = '']) => {
        const isThere = parseInt(remote.split(':')[1] ?? '', 16) === port && state === '01';
        return isThere && sockets.has(inode);
      }).length;
  } catch {
    return 0;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
