/** Figures over samples. All of them take plain numbers and change nothing. */

/** The middle value; of an even number of samples the mean of the two in the middle. NaN without samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** Nearest-rank percentile: the smallest sample that `share` (0 to 1) of all samples do not exceed. NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Three significant digits are more than a shared machine can tell apart. */
export function rounded(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(3)) : 0;
}

export interface Spread {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** p50, p99 and maximum of millisecond samples, in whole milliseconds. */
export function spread(samplesMs: readonly number[]): Spread {
  return {
    samples: samplesMs.length,
    p50: Math.round(percentile(samplesMs, 0.5) || 0),
    p99: Math.round(percentile(samplesMs, 0.99) || 0),
    max: Math.round(percentile(samplesMs, 1) || 0),
  };
}
