import { readFileSync, readdirSync } from 'node:fs';

/** CPU milliseconds used so far, by group of processes. */
export type CpuReading = Readonly<Record<string, number>>;

/** Linux counts a process' CPU in ticks of 10 ms, on every architecture that Node runs on. */
const MS_PER_TICK = 10;

/** Reads the CPU time of processes with all their children, and of this process as `client`. Without /proc the other groups are left out. */
export function readCpu(groups: Readonly<Record<string, number>>): CpuReading {
  const { user, system } = process.cpuUsage();
  const reading: Record<string, number> = { client: (user + system) / 1_000 };
  if (process.platform !== 'linux') return reading;
  const stats = allStats();
  for (const [name, pid] of Object.entries(groups)) reading[name] = treeOf(pid, stats);
  return reading;
}

/** What was used between two readings, by group, and altogether. */
export function cpuBetween(before: CpuReading, after: CpuReading): CpuReading & { readonly total: number } {
  const used = Object.fromEntries(Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]));
  return { ...used, total: Object.values(used).reduce((sum, ms) => sum + ms, 0) };
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ownTicks: number;
  /** Of children that have ended and were waited for. */
  readonly endedTicks: number;
}

function allStats(): readonly Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
}

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in field 2 may hold blanks and brackets, so counting starts after it, at field 3.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const field = (number: number): number => fields[number - 3] ?? 0;
    return { pid, parent: field(4), ownTicks: field(14) + field(15), endedTicks: field(16) + field(17) };
  } catch {
    return undefined;
  }
}

function treeOf(pid: number, stats: readonly Stat[]): number {
  const own = stats.find((stat) => stat.pid === pid);
  const children = stats.filter((stat) => stat.parent === pid);
  const ticks = own === undefined ? 0 : own.ownTicks + own.endedTicks;
  return ticks * MS_PER_TICK + children.reduce((sum, child) => sum + treeOf(child.pid, stats), 0);
}
