import type { Config } from '../../config.js';
import type { RunInfo } from '../supervisor.js';

export interface StoryContext {
  readonly config: Config;
  readonly run: RunInfo;
  readonly say: (line: string) => void;
  /** Aborted when the person wants to stop. */
  readonly signal: AbortSignal;
}

export interface StoryOutcome {
  /** True when everything due now is proven. */
  readonly isProven: boolean;
}

/** Tells where everything is. */
export function runStory(context: StoryContext): Promise<StoryOutcome> {
  context.say('');
  context.say(`API           ${context.run.api}`);
  context.say(`API docs      ${context.run.docs}`);
  if (context.run.temporalUi !== undefined) context.say(`Temporal UI   ${context.run.temporalUi}`);
  return Promise.resolve({ isProven: true });
}
