import { median, percentile, rounded } from '../statistics.js';
import { offTheWire } from './files.js';
import type { OperationName, OperationResult, SideResult } from './result.js';
import type { Script } from './script.js';
import { shapeOfScript } from './script.js';

/** What is missing to it is a cost of ours that somebody has to explain. */
export const GOAL = 0.8;

/** One operation on the accounts of one round, by one side; the other side's came in between, one by one. */
export interface Block {
  readonly round: number;
  readonly operation: OperationName;
  readonly side: 'connector' | 'direct';
  readonly latenciesMs: readonly number[];
  /** Of this process: the server's own is not in it. */
  readonly cpuMs: number;
}

/** One operation's line: medians over the rounds. The ratio is taken inside each round, where both sides saw the same machine. */
export function summarise(operation: OperationName, script: Script, blocks: readonly Block[]): OperationResult {
  const own = blocks.filter((block) => block.operation === operation);
  const of = (side: Block['side']): readonly Block[] => own.filter((block) => block.side === side);
  const calls = shapeOfScript(script).filter((method) => !offTheWire.has(method));
  const ratioByRound = of('connector').map((block) => {
    const beside = of('direct').find(({ round }) => round === block.round);
    return rounded(perSecondOf(block) / (beside === undefined ? Number.NaN : perSecondOf(beside)));
  });
  const [connector, direct] = [sideOf(of('connector')), sideOf(of('direct'))];
  return {
    operation,
    calls,
    wireCalls: calls.length,
    connector,
    direct,
    ratio: rounded(median(ratioByRound)),
    ratioByRound,
    ratioOfMedians: rounded(direct.p50Ms / connector.p50Ms),
  };
}

function perSecondOf({ latenciesMs }: Block): number {
  return (1_000 * latenciesMs.length) / latenciesMs.reduce((sum, ms) => sum + ms, 0);
}

function sideOf(blocks: readonly Block[]): SideResult {
  const latencies = blocks.flatMap(({ latenciesMs }) => latenciesMs);
  const cpuMs = blocks.reduce((sum, block) => sum + block.cpuMs, 0);
  return {
    operations: latencies.length,
    perSecond: rounded(median(blocks.map(perSecondOf))),
    p50Ms: rounded(percentile(latencies, 0.5)),
    p99Ms: rounded(percentile(latencies, 0.99)),
    cpuMsPerOperation: rounded(cpuMs / latencies.length),
  };
}
