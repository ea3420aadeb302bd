import { goal, describeMachine, interrupted, report, say } from '../result.js';
import { GOAL } from './arithmetic.js';
import { kinds } from './kinds.js';
import { measureKind } from './measure.js';
import { connectorsResultSchema } from './result.js';
import type { ConnectorsResult, KindResult } from './result.js';

export interface ConnectorsOptions {
  readonly people: number;
  readonly rounds: number;
  /** Names of kinds; undefined: all. */
  readonly only: readonly string[] | undefined;
  readonly out: string | undefined;
  /** As the person typed it. */
  readonly command: string;
}

/** Connectors beside the same client calls made by hand, kind by kind, each on a real system of its own that is ended afterwards. */
export async function runConnectors(options: ConnectorsOptions): Promise<void> {
  const { people, rounds, only, command, out } = options;
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const began = performance.now();
  const measured: KindResult[] = [];
  const skipped: { kind: string; reason: string }[] = [];
  const work = async (): Promise<void> => {
    for (const kind of kinds.filter(
      ({ name, connector }) => only === undefined || [name, connector].some((one) => only.includes(one)),
    )) {
      const reason = await kind.reasonToSkip();
      if (reason !== undefined) {
        say(`${kind.name}: skipped: ${reason}`);
        skipped.push({ kind: kind.name, reason });
        continue;
      }
      const result = await measureKind(kind, options);
      measured.push(result);
      for (const { operation, connector, direct, ratio, wireCalls } of result.operations)
        say(
          `${kind.name}: ${operation}: ${connector.perSecond}/s against ${direct.perSecond}/s by hand (${ratio}, ${wireCalls} calls)`,
        );
    }
  };
  await Promise.race([work(), interrupted()]);
  const result = connectorsResultSchema.parse({
    bench: 'connectors',
    format: 1,
    startedAt,
    tookSeconds: Math.round((performance.now() - began) / 1_000),
    command,
    machine,
    settings: { people, rounds },
    kinds: measured,
    skipped,
    goals: goalsOf(measured),
  } satisfies ConnectorsResult);
  await report(result, out);
}

/** Reported, never a reason to fail. */
export function goalsOf(measured: readonly KindResult[]): ConnectorsResult['goals'] {
  return measured.flatMap(({ name, operations }) =>
    operations.map(({ operation, ratio }) =>
      goal(`${name}: ${operation}: connector ÷ by hand`, 'higher', GOAL, 'ratio', ratio),
    ),
  );
}
