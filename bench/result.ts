import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';

/** What the documents of all benches have in common. */
export const machineSchema = z.strictObject({
  cpu: z.string(),
  cores: z.int(),
  memoryGb: z.number(),
  system: z.string(),
  node: z.string(),
  /** Others on the machine: figures under load are only comparable when this was low. */
  loadAverageAtStart: z.number(),
});

/** What every document begins with, behind its bench's name. */
export const frame = {
  format: z.literal(1),
  startedAt: z.iso.datetime(),
  tookSeconds: z.number(),
  command: z.string(),
  machine: machineSchema,
};

export const goalSchema = z.strictObject({
  name: z.string(),
  goal: z.number(),
  unit: z.string(),
  better: z.enum(['higher', 'lower']),
  measured: z.number(),
  met: z.boolean(),
});

export type Machine = z.infer<typeof machineSchema>;
export type Goal = z.infer<typeof goalSchema>;

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    loadAverageAtStart: loadavg()[0] ?? 0,
  };
}

/** A goal that is met from below or from above. */
export function goal(name: string, better: Goal['better'], wanted: number, unit: string, measured: number): Goal {
  return {
    name,
    goal: wanted,
    unit,
    better,
    measured,
    met: better === 'higher' ? measured >= wanted : measured <= wanted,
  };
}

/** Progress, and whatever else is not the document. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Rejects when this process is told to end, or when the one that started it is gone. */
export function interrupted(): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => {
      reject(new Error('interrupted'));
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    process.once('disconnect', stop);
  });
}

/** The goals to stderr, the document to stdout and, when asked, to a file. */
export async function report(result: { readonly goals: readonly Goal[] }, out: string | undefined): Promise<void> {
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  for (const { name, goal: wanted, unit, better, measured, met } of result.goals)
    say(
      `${met ? 'met    ' : 'MISSED '} ${name}: ${measured} (goal ${better === 'higher' ? '>=' : '<='} ${wanted} ${unit})`,
    );
  if (out !== undefined) {
    mkdirSync(dirname(resolve(out)), { recursive: true });
    writeFileSync(out, text);
    say(`written to ${out}`);
  }
  await new Promise((done) => process.stdout.write(text, done));
}
