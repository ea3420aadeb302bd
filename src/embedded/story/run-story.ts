import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../config.js';
import { brand } from '../../domain/process/ids.js';
import type { Instant } from '../../domain/process/ids.js';
import type { TransitionKind } from '../../domain/process/kinds.js';
import { StackError } from '../errors.js';
import { readJson, writeJson } from '../home.js';
import type { RunInfo } from '../supervisor.js';
import { eventsAnswer, evidencePage, identityAnswer } from './answers.js';
import { ApiClient } from './api-client.js';
import { sampleFeed } from './feed.js';
import type { Chapter } from './feed.js';
import { hireHands } from './hands.js';
import { samplePeople } from './people.js';
import type { PersonKey } from './people.js';
import { storyTable } from './report.js';
import type { Told } from './report.js';
import { doubts } from './state.js';
import { Watch } from './watch.js';
import type { Watched } from './watch.js';

export interface StoryContext {
  readonly config: Config;
  readonly run: RunInfo;
  readonly say: (line: string) => void;
  /** Aborted when the person wants to stop. */
  readonly signal: AbortSignal;
  /** Width of the terminal. */
  readonly columns?: number | undefined;
}

export interface StoryOutcome {
  /** True when everything due now is proven. */
  readonly isProven: boolean;
}

/** How long a child may be away, and how long nothing may change, before the story is given up. */
const PATIENCE_MS = 120_000;

/**
 * Runs the sample company's HR feed through the stack: sends it chapter by chapter, lets the scripted manager and operator act, waits until everything due is
 * done and proven, and tells per person what happened and what is still to come. Running it again sends the same records, which are duplicates then: it only
 * waits for what became due meanwhile. What a crash interrupted goes on where it was.
 * @throws StackError when the API stays away; the signal's reason when stopped
 */
export async function runStory(context: StoryContext): Promise<StoryOutcome> {
  const { run, say, signal } = context;
  const firstStart = await fixFirstStart(context.config.home);
  const api = new ApiClient({ url: run.api, signal, patienceMs: PATIENCE_MS });
  say(`\nThe sample company’s story; its dates count from ${firstStart.slice(0, 10)}, the first start.`);
  const story = new Story(context, api);
  for (const chapter of sampleFeed(firstStart)) {
    const isSettled = await story.tell(chapter);
    if (!isSettled) break;
  }
  const people = await story.people();
  const wrong = people.filter((person) => person.wrong.length > 0);
  say(`\n${storyTable(people, new Date().toISOString(), context.columns ?? 120)}`);
  for (const { view, wrong: reasons } of wrong) say(`NOT PROVEN  ${view.displayName}: ${reasons.join('; ')}`);
  if (wrong.length === 0)
    say('Everything due now is done and proven; what is still to come is listed with its instant.');
  sayWhere(run, say);
  return { isProven: wrong.length === 0 };
}

class Story {
  readonly #context: StoryContext;
  readonly #api: ApiClient;
  readonly #people = new Map<PersonKey, Watched>();
  #watch: Watch | undefined;
  #open: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(context: StoryContext, api: ApiClient) {
    this.#context = context;
    this.#api = api;
  }

  /** Sends a chapter and waits for what is due; false when something stays open. */
  async tell(chapter: Chapter): Promise<boolean> {
    const { say } = this.#context;
    say(`\n${chapter.title}`);
    const isNew = await this.#send(chapter);
    const people = [...this.#people.values()];
    this.#watch ??= await this.#startWatch();
    if (!isNew) await this.#watch.skipOver(people);
    this.#open = await this.#watch.untilSettled(people);
    return this.#open.size === 0;
  }

  /** Everybody with their proofs, in the feed's order. */
  async people(): Promise<readonly Told[]> {
    const { token } = this.#context.run;
    const told: Told[] = [];
    for (const { identityId } of this.#people.values()) {
      const path = `/v1/identities/${identityId}`;
      const view = await this.#api.get(token, path, identityAnswer);
      const evidence = await this.#api.list(token, `${path}/evidence`, evidencePage);
      told.push({ view, evidence, wrong: [...(this.#open.get(identityId) ?? []), ...doubts(view, evidence)] });
    }
    return told;
  }

  /** True when something of it was not known before. */
  async #send(chapter: Chapter): Promise<boolean> {
    const { say, run } = this.#context;
    const results = await this.#accepted(chapter, run.token);
    const counts = new Map<string, number>();
    for (const { status } of results) counts.set(status, (counts.get(status) ?? 0) + 1);
    say(`  HR feed: ${[...counts].map(([status, count]) => `${count} ${status}`).join(', ')}`);
    for (const { status, problems } of results)
      if (status === 'rejected')
        say(
          `  rejected: ${(problems ?? []).map((one) => `${one.path} ${one.message}`).join('; ')} (kept in ${run.api}/v1/hr/rejections)`,
        );
    this.#meet(chapter, results);
    return results.some(({ status }) => status === 'accepted');
  }

  async #accepted(chapter: Chapter, token: string): Promise<z.infer<typeof eventsAnswer>['results']> {
    for (let attempt = 1; ; attempt += 1) {
      const { results } = await this.#api.post(token, '/v1/hr/events', chapter.records, eventsAnswer);
      // "failed" records were not looked at (the database went away); the rest become duplicates.
      if (!results.some(({ status }) => status === 'failed')) return results;
      if (attempt > 100)
        throw new StackError('HR records could not be recorded.', 'See logs/api.log below TENURE_HOME.');
    }
  }

  /** Remembers who the records were about and what must begin because of them. */
  #meet(chapter: Chapter, results: z.infer<typeof eventsAnswer>['results']): void {
    for (const { index, identityId } of results) {
      const { person } = chapter.records[index] as { readonly person?: string };
      const sample = samplePeople.find(({ number }) => number === person);
      if (sample === undefined || identityId === undefined) continue;
      const begins: readonly TransitionKind[] = chapter.begins[sample.key] ?? [];
      const known = this.#people.get(sample.key);
      this.#people.set(sample.key, {
        identityId,
        name: `${sample.givenName} ${sample.familyName}`,
        begins: [...(known?.begins ?? []), ...begins],
      });
    }
  }

  async #startWatch(): Promise<Watch> {
    const { run, say, signal } = this.#context;
    const manager = this.#people.get('manager');
    if (manager === undefined)
      throw new StackError('The sample’s manager was not accepted.', 'Start over with --fresh.');
    const ours = () => new Set([...this.#people.values()].map(({ identityId }) => identityId));
    const hands = await hireHands({
      api: this.#api,
      ownerUrl: run.postgresUrl,
      managerId: manager.identityId,
      isOurs: (identityId) => ours().has(identityId),
    });
    return new Watch({ api: this.#api, token: run.token, hands, say, signal, patienceMs: PATIENCE_MS });
  }
}

/** The dates of the sample count from the first start, whenever it is started again. */
async function fixFirstStart(home: string): Promise<Instant> {
  const file = join(home, 'story.json');
  const known = await readJson(file, z.object({ firstStart: z.iso.datetime() }));
  if (known !== undefined) return brand<Instant>(known.firstStart);
  const firstStart = new Date().toISOString();
  await writeJson(file, { firstStart });
  return brand<Instant>(firstStart);
}

function sayWhere(run: RunInfo, say: (line: string) => void): void {
  say('');
  say(`API           ${run.api}`);
  say(`API docs      ${run.docs}`);
  if (run.temporalUi !== undefined) say(`Temporal UI   ${run.temporalUi}`);
  say('');
  say('Try, in another terminal while this one is up:');
  say('  npx tenure people                    who is there');
  say('  npx tenure timeline Geese            what happened to one of them, with every proof');
  say('  npx tenure why --person Geese --application erp');
  say('                                       why there is access, by rule and fact');
  say('  npx tenure preview --person Geese    what would be done now');
  say('  npx tenure cut Justesen              take all access away at once');
  say('  npx tenure tasks                     what waits for hands: the badge, for one');
  say('  npx tenure audit verify              check the hash chains');
}
