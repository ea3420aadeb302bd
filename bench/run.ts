import type { z } from 'zod';
import { StackError } from '../src/embedded/errors.js';
import { describeMachine, interrupted, report, say } from './result.js';
import type { Goal, frame } from './result.js';
import { startStack } from './spine/stack.js';
import type { Stack } from './spine/stack.js';

interface Framed {
  readonly bench: string;
  readonly goals: readonly Goal[];
}

export interface RunOptions {
  /** Also written here. */
  readonly out: string | undefined;
  /** As the person typed it. */
  readonly command: string;
}

/**
 * Runs one bench on servers of its own, ends them whatever happens, and prints one JSON document on stdout; progress goes to stderr. `measure` gives everything of the
 * document but the frame. Raises what `measure` raises, and an Error when it is interrupted.
 */
export async function runOnStack<R extends Framed>(
  { out, command }: RunOptions,
  schema: z.ZodType<R>,
  measure: (stack: Stack) => Promise<Omit<R, keyof typeof frame>>,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const began = performance.now();
  say('starting Postgres and Temporal');
  const stack = await startStack();
  const interruption = interrupted();
  try {
    const measured = await Promise.race([measure(stack), interruption]);
    const tookSeconds = Math.round((performance.now() - began) / 1_000);
    await report(schema.parse({ format: 1, startedAt, tookSeconds, command, machine, ...measured }), out);
  } catch (error) {
    // The logs are about to go.
    if (error instanceof StackError) say(error.remedy);
    throw error;
  } finally {
    await stack.stop();
  }
}
