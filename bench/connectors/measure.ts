import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AccountRef, AccountSpec, Connector, OperationContext } from '../../src/connectors/connector.js';
import type { Block } from './arithmetic.js';
import { summarise } from './arithmetic.js';
import type { Direct } from './library.js';
import { play } from './library.js';
import type { KindResult, OperationName, OperationResult } from './result.js';
import type { Account, Script } from './script.js';
import { hasSameShape, mentions, scriptFor } from './script.js';
import type { Kind, Subject } from './subject.js';
import { context } from './subject.js';

export interface MeasureOptions {
  /** Accounts per group; a round has two groups on either side. */
  readonly people: number;
  readonly rounds: number;
}

/** One account on its way through the operations. */
interface Person extends Account {
  readonly spec: AccountSpec | undefined;
  readonly ref: AccountRef | undefined;
}

/** People who are treated by one side. */
interface Group {
  readonly side: Block['side'];
  people: readonly Person[];
}

/** How often an operation is recorded until two recordings in a row look the same: a pool may try an old connection in between. */
const RECORDINGS = 6;
const WARM_MS = 5_000;
const WARM_ROUNDS = 20;
const WARM_PEOPLE = 10;
/** Where both sides have a file of their own, the connector's grows by its people and the other one does not: few of them, so that both are as long. */
const COPY_PEOPLE = 5;
/** A, B, B, A, person by person: what happens on the machine meanwhile falls on both sides alike. */
const ORDER = ['connector', 'direct', 'direct', 'connector'] as const;

/**
 * Operations of a connector beside the calls that it makes of its client library, made by hand on the same server with the same library: recorded, filled
 * with another account's values, and checked to have the same effect.
 */
export async function measureKind(kind: Kind, options: MeasureOptions): Promise<KindResult> {
  const subject = await kind.start();
  try {
    const operations = operationsOf(subject);
    const recorded = await record(subject, operations);
    const direct = await subject.library.connect();
    try {
      const measurement = new Measurement(subject, direct, recorded, operations);
      const people = subject.isCopy === true ? Math.min(options.people, COPY_PEOPLE) : options.people;
      await measurement.warmUp(people);
      const blocks: Block[] = [];
      for (let round = 1; round <= options.rounds; round += 1)
        blocks.push(...(await measurement.round(people)).map((block) => ({ ...block, round })));
      const again = await record(subject, operations);
      const results = operations.map((operation): OperationResult => {
        const script = recorded.scripts[operation]!;
        if (!hasSameShape(script, again.scripts[operation]!))
          throw new Error(`${kind.name}: ${operation} does not make the same calls at the end as at the beginning`);
        return summarise(operation, script, blocks);
      });
      const { name, connector, system } = kind;
      return { name, connector, system, library: subject.library.name, operations: results };
    } finally {
      await direct.close();
    }
  } finally {
    await subject.stop();
  }
}

function operationsOf({ connector, group, make }: Subject): readonly OperationName[] {
  const members = group === undefined ? [] : (['addMember', 'removeMember'] as const);
  return [...(make === undefined ? (['create'] as const) : []), 'get', ...members, 'disable', 'enable'].filter(
    (name): name is OperationName => connector[name as OperationName] !== undefined,
  );
}

interface Recorded {
  readonly scripts: Readonly<Partial<Record<OperationName, Script>>>;
  readonly account: Account;
}

async function record(subject: Subject, operations: readonly OperationName[]): Promise<Recorded> {
  let before: Recorded['scripts'] | undefined;
  for (let tries = 0; tries < RECORDINGS; tries += 1) {
    let [person] = await newPeople(subject, 1);
    const scripts: Partial<Record<OperationName, Script>> = {};
    for (const operation of operations)
      scripts[operation] = await subject.library.record(async () => {
        person = await byConnector(subject, operation, person!, context(person!.key));
      });
    await remove(subject, [person!]);
    const last = before;
    if (last !== undefined && operations.every((name) => hasSameShape(last[name]!, scripts[name]!)))
      return { scripts, account: person! };
    before = scripts;
  }
  throw new Error('the connector makes other calls every time');
}

class Measurement {
  constructor(
    readonly subject: Subject,
    readonly direct: Direct,
    readonly recorded: Recorded,
    readonly operations: readonly OperationName[],
  ) {}

  /** Until both sides are compiled and every connection is open: a fast target needs many rounds for that, a slow one has spent the time after one. */
  async warmUp(people: number): Promise<void> {
    const began = performance.now();
    for (let round = 0; round < WARM_ROUNDS && performance.now() - began < WARM_MS; round += 1)
      await this.round(Math.min(people, WARM_PEOPLE));
  }

  /** All operations once, each on people of four groups that take turns one by one. */
  async round(people: number): Promise<readonly Omit<Block, 'round'>[]> {
    const groups: Group[] = [];
    for (const side of ORDER) groups.push({ side, people: await newPeople(this.subject, people) });
    const blocks: Omit<Block, 'round'>[] = [];
    for (const operation of this.operations) {
      blocks.push(...(await this.#takeTurns(operation, groups)));
      await this.#requireSameEffect(operation, groups);
    }
    for (const group of groups) await remove(this.subject, group.people);
    return blocks;
  }

  async #takeTurns(operation: OperationName, groups: readonly Group[]): Promise<readonly Omit<Block, 'round'>[]> {
    const sides = {
      connector: { operation, side: 'connector' as const, latenciesMs: [] as number[], cpuMs: 0 },
      direct: { operation, side: 'direct' as const, latenciesMs: [] as number[], cpuMs: 0 },
    };
    const works = groups.map(({ side, people }) =>
      side === 'connector' ? this.#byConnector(operation, people) : this.#byHand(operation, people),
    );
    const done: Person[][] = groups.map(() => []);
    for (let at = 0; at < (works[0]?.length ?? 0); at += 1)
      for (const [index, { side }] of groups.entries()) {
        const cpu = process.cpuUsage();
        const started = performance.now();
        done[index]!.push(await works[index]![at]!());
        sides[side].latenciesMs.push(performance.now() - started);
        const used = process.cpuUsage(cpu);
        sides[side].cpuMs += (used.user + used.system) / 1_000;
      }
    for (const [index, group] of groups.entries())
      group.people = operation === 'create' ? await this.#withRefs(done[index]!) : done[index]!;
    return Object.values(sides);
  }

  #byConnector(operation: OperationName, people: readonly Person[]): readonly (() => Promise<Person>)[] {
    return people.map((person) => {
      // The caller's, not the connector's.
      const ctx = context(person.key);
      return () => byConnector(this.subject, operation, person, ctx);
    });
  }

  /** Scripts are made before the clock starts: writing them is no part of the calls. */
  #byHand(operation: OperationName, people: readonly Person[]): readonly (() => Promise<Person>)[] {
    const { scripts, account } = this.recorded;
    const script = scripts[operation]!;
    const { idIn } = this.subject;
    const needsId = operation === 'create' && account.id !== undefined && mentions(script, account.id);
    return people.map((person) => {
      const own = scriptFor(script, operation === 'create' ? { ...account, id: undefined } : account, person);
      if (operation !== 'create')
        return async () => {
          this.direct.about?.(person.id);
          await play(this.direct, own);
          return person;
        };
      return async () => {
        let id: string | undefined;
        const heard = (result: unknown): void => void (id ??= idIn?.(result));
        if (!needsId) await play(this.direct, own, heard);
        else await this.#playWithId(own, heard, () => id);
        return { ...person, id };
      };
    });
  }

  /** Calls after the first answer that names the new account carry its id. */
  async #playWithId(script: Script, heard: (result: unknown) => void, id: () => string | undefined): Promise<void> {
    const { account } = this.recorded;
    for (const batch of script) {
      const known = id();
      const nothing = { login: '\0login', key: '\0key', forms: [] };
      const own =
        known === undefined ? [batch] : scriptFor([batch], { ...nothing, id: account.id }, { ...nothing, id: known });
      await play(this.direct, own, heard);
    }
  }

  async #withRefs(people: readonly Person[]): Promise<readonly Person[]> {
    if (this.subject.isCopy === true) return people;
    const { connector, formsOf } = this.subject;
    const found = people.map(async (person) => {
      const ref = person.ref ?? (person.id === undefined ? await byLogin(connector, person.login) : refOf(person.id));
      return { ...person, ref, id: ref.nativeId, forms: formsOf?.(ref.nativeId) ?? [] };
    });
    return Promise.all(found);
  }

  /** Both sides must have done the same to their accounts, as the connector's own read tells it. */
  async #requireSameEffect(operation: OperationName, groups: readonly Group[]): Promise<void> {
    const { connector, isCopy } = this.subject;
    const seen: unknown[] = [];
    for (const { side, people } of groups) {
      const { ref, key } = people[0]!;
      if (ref === undefined && side === 'direct' && isCopy === true) continue;
      const account = ref === undefined ? undefined : await connector.get(ref, context(key));
      seen.push(account === undefined ? 'no account' : { status: account.status, entitlements: account.entitlements });
    }
    if (seen.includes('no account') || seen.some((one) => !isDeepStrictEqual(one, seen[0])))
      throw new Error(
        `${operation}: the calls by hand have another effect than the connector: ${JSON.stringify(seen)}`,
      );
  }
}

async function newPeople(subject: Subject, count: number): Promise<readonly Person[]> {
  if (subject.make !== undefined)
    return (await subject.make(count)).map((ref) => {
      const id = ref.nativeId;
      return { login: id, key: randomUUID(), id, forms: [], ref, spec: undefined };
    });
  return Array.from({ length: count }, () => {
    const spec = subject.sample();
    return { login: spec.login, key: randomUUID(), id: undefined, forms: [], ref: undefined, spec };
  });
}

async function byConnector(
  subject: Subject,
  operation: OperationName,
  person: Person,
  ctx: OperationContext,
): Promise<Person> {
  const { connector, group = '', formsOf } = subject;
  if (operation === 'create') {
    const { ref } = await connector.create!(person.spec!, ctx);
    return { ...person, ref, id: ref.nativeId, forms: formsOf?.(ref.nativeId) ?? [] };
  }
  if (operation === 'addMember' || operation === 'removeMember')
    applied(await connector[operation]!({ application: 'x', name: group }, person.ref!, ctx));
  else if (operation === 'get') await connector.get(person.ref!, ctx);
  else applied(await connector[operation]!(person.ref!, ctx));
  return person;
}

function applied({ outcome }: { readonly outcome: string }): void {
  if (outcome !== 'applied') throw new Error(`the operation changed nothing: ${outcome}`);
}

async function byLogin(connector: Connector, login: string): Promise<AccountRef> {
  const [account] = await connector.find({ attribute: 'login', value: login }, context(randomUUID()));
  if (account === undefined) throw new Error('the calls by hand made no account');
  return account.ref;
}

function refOf(nativeId: string): AccountRef {
  return { application: 'x', objectClass: 'account', nativeId };
}

/** Takes the accounts away, so that the next round finds a target of the same size. */
async function remove({ connector, isCopy }: Subject, people: readonly Person[]): Promise<void> {
  for (const { ref, key } of people)
    if (ref !== undefined && (isCopy === true || connector.delete !== undefined))
      await connector.delete?.(ref, context(key));
}
