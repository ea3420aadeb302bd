import { setTimeout as delay } from 'node:timers/promises';
import type { TransitionKind } from '../../domain/process/kinds.js';
import { identityAnswer } from './answers.js';
import type { IdentityView, ProcessView, TaskView } from './answers.js';
import type { ApiClient } from './api-client.js';
import type { Hands, HandsDone } from './hands.js';
import { openPoints } from './state.js';

export interface Watched {
  readonly identityId: string;
  readonly name: string;
  readonly begins: readonly TransitionKind[];
}

export interface WatchOptions {
  readonly api: ApiClient;
  readonly token: string;
  readonly hands: Hands;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** After so long without any change we stop waiting. */
  readonly patienceMs: number;
}

const LOOK_AGAIN_MS = 300;

/** Watches the sample's people until everything that is due is done, with the scripted hands doing theirs. */
export class Watch {
  readonly #options: WatchOptions;
  /** What was said of each process, so that it is said once. */
  readonly #said = new Map<string, string>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Takes what these people's processes are at now as known, without a word. */
  async skipOver(people: readonly Watched[]): Promise<void> {
    for (const person of people) for (const one of (await this.#look(person)).processes) this.#isNews(one);
  }

  /**
   * Says what happens as it happens.
   * @returns per person (identity id) what is still open when patience ended; empty when all is done
   */
  async untilSettled(people: readonly Watched[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const { hands, signal, patienceMs } = this.#options;
    let open = people;
    let last = { seen: '', at: performance.now() };
    for (;;) {
      const done = await hands.act();
      const points = new Map<string, readonly string[]>();
      const seen: unknown[] = [done.approved.length, done.doneByHand.length];
      for (const person of open) {
        const view = await this.#look(person);
        this.#tell(view, person.name, done);
        const left = [...openPoints(view, person.begins, new Date().toISOString()), ...tasksOf(view, done)];
        if (left.length > 0) points.set(person.identityId, left);
        seen.push(left, view.processes, view.accounts);
      }
      if (points.size === 0 && open.length === people.length && isIdle(done)) return points;
      // When the last one is done everybody is looked at once more: a question may have been asked behind our back.
      open = points.size === 0 ? people : people.filter((person) => points.has(person.identityId));
      const text = JSON.stringify(seen);
      if (text !== last.seen) last = { seen: text, at: performance.now() };
      else if (performance.now() - last.at > patienceMs) return points;
      await delay(LOOK_AGAIN_MS, undefined, { signal });
    }
  }

  #look(person: Watched): Promise<IdentityView> {
    return this.#options.api.get(this.#options.token, `/v1/identities/${person.identityId}`, identityAnswer);
  }

  /** A line for each process that got somewhere a person cares about, and for each yes. */
  #tell(view: IdentityView, name: string, done: HandsDone): void {
    for (const { identityId, entitlement } of done.approved)
      if (identityId === view.identityId) this.#options.say(`    ${name}: the manager approves ${entitlement}`);
    for (const one of [...view.processes].reverse())
      if (this.#isNews(one)) this.#options.say(`    ${name}: ${one.kind} ${wordFor(one) ?? ''}`);
  }

  #isNews(one: ProcessView): boolean {
    const word = wordFor(one);
    if (word === undefined || this.#said.get(one.processId) === word) return false;
    this.#said.set(one.processId, word);
    return true;
  }
}

function tasksOf(view: IdentityView, done: HandsDone): readonly string[] {
  return done.open.filter((task) => task.identity.identityId === view.identityId).map(describeTask);
}

function describeTask({ kind, code, application }: TaskView): string {
  return `an operator task waits (${kind}, ${code}${application === null ? '' : `, ${application}`})`;
}

function isIdle(done: HandsDone): boolean {
  return done.approved.length === 0 && done.doneByHand.length === 0;
}

/** Undefined while it works: only where it got to is told. */
function wordFor(one: ProcessView): string | undefined {
  const until = one.dueAt === null ? '' : ` until ${one.dueAt}`;
  switch (one.state) {
    case 'running':
      if (one.blockedOn === 'date')
        return `${one.kind === 'leaver' ? 'has given up what notice costs' : 'prepared'}, waits${until}`;
      return one.blockedOn === 'grace-period' ? `done, old access stays${until}` : undefined;
    case 'tail':
      return 'cut and proven, accounts are retained';
    default:
      return one.outcome ?? one.state;
  }
}
