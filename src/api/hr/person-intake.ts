import { randomUUID } from 'node:crypto';
import { appendAudit } from '../../db/audit.js';
import type { AuditEntry } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { canonicalJson } from '../../domain/hash.js';
import { classify } from '../../domain/ledger/intake.js';
import type { ChangeSummary, RejectionCode } from '../../domain/ledger/intake.js';
import type { Fact, Statement } from '../../domain/ledger/types.js';
import { brand } from '../../domain/process/ids.js';
import type { EmploymentId, FactId, Instant } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import type { Problem } from '../../hr/problems.js';
import { parseRecord } from '../../hr/record.js';
import type { HrRecord } from '../../hr/record.js';
import { revokeOwnTokens } from '../../planning/own-access.js';
import { loadFacts, personOf } from '../../planning/person.js';
import type { Notice } from '../dispatch/dispatcher.js';
import type { IndexedRecord, IntakeDeps, RecordResult, Sender } from './intake.js';
import { putIntoInbox } from './news.js';
import { Employments, createPerson, lockPerson, personIndex } from './person-lookup.js';
import type { DoorPerson } from './person-lookup.js';
import { nextDueAt, updateProfile } from './projection.js';
import { keepRejection, liftableRecords, settleRejections } from './rejections.js';

export interface PersonAccepted {
  readonly results: readonly RecordResult[];
  /** What the identity workflow has to be told; absent when nothing was written. */
  readonly notice?: Notice;
}

/** Decides all records of one person in one transaction; see `acceptRecords`. */
export function acceptForPerson(
  deps: IntakeDeps,
  sender: Sender,
  group: readonly IndexedRecord[],
): Promise<PersonAccepted> {
  const { source, person } = (group[0] as IndexedRecord).record;
  return deps.db.transaction().execute(async (trx) => {
    const index = personIndex(deps.keys, source, person);
    const found = await lockPerson(trx, index, source);
    const ledger = await Ledger.open(deps, trx, { sender, person: found, source, index });
    const results = await decideAll(ledger, group);
    return { results, ...(await ledger.finish()) };
  });
}

/** Writes facts that Tenure states by itself (a cut) for a person whose row is locked already. Returns what the workflow has to be told. */
export async function stateFacts(
  deps: IntakeDeps,
  trx: Queryable,
  input: {
    readonly actor: string;
    readonly person: DoorPerson;
    readonly facts: readonly {
      readonly employmentId: EmploymentId;
      readonly statement: Statement;
      readonly eventId: string;
    }[];
  },
): Promise<Notice | undefined> {
  const ledger = await Ledger.open(deps, trx, {
    sender: { name: input.actor },
    person: input.person,
    source: 'tenure',
  });
  for (const { employmentId, statement, eventId } of input.facts) {
    const record = { source: 'tenure', eventId, version: 1, person: '', employment: '', statement };
    await ledger.decide(record, employmentId);
  }
  return (await ledger.finish()).notice;
}

/** One pass after the other, as long as something is accepted: a change may come before its hire, in this batch or in an earlier one. */
async function decideAll(ledger: Ledger, group: readonly IndexedRecord[]): Promise<readonly RecordResult[]> {
  const results = new Map<number, Decided>();
  let open = [...group];
  for (;;) {
    const before = ledger.written;
    for (const item of open) results.set(item.index, await ledger.decide(item.record));
    open = open.filter((item) => results.get(item.index)?.retry === true);
    if (open.length === 0 || ledger.written === before) break;
  }
  if (ledger.written > 0) await ledger.lift();
  return Promise.all(
    group.map(async ({ index, record, raw }): Promise<RecordResult> => {
      const { retry, ...decided } = results.get(index) as Decided;
      const named = { index, eventId: record.eventId, ...decided };
      if (decided.status !== 'rejected') return named;
      const rejectionId = await ledger.refuse(raw, decided.problems ?? [], retry === true);
      return { ...named, rejectionId, ...(retry === true ? { retried: true } : {}) };
    }),
  );
}

type Decided = Omit<RecordResult, 'index' | 'eventId' | 'rejectionId' | 'retried'> & { readonly retry?: boolean };

interface Opened {
  readonly sender: Sender;
  readonly person: DoorPerson;
  readonly source: string;
  /** Blind index of the person key; absent for facts of Tenure's own. */
  readonly index?: Buffer;
}

/** A person's ledger, open for writing inside one transaction. */
class Ledger {
  readonly #employments: Employments;
  #version: number;
  #isStored: boolean;
  #raisesGeneration = false;
  #isUrgent = false;
  /** What the chain has to say, once everything else is written. */
  readonly #records: AuditEntry[] = [];
  written = 0;

  private constructor(
    private readonly deps: IntakeDeps,
    private readonly trx: Queryable,
    private readonly opened: Opened,
    private facts: readonly Fact[],
    private readonly now: Instant,
  ) {
    this.#employments = new Employments(trx, deps.keys, opened.person.identityId);
    this.#version = opened.person.ledgerVersion;
    this.#isStored = !opened.person.isNew;
  }

  static async open(deps: IntakeDeps, trx: Queryable, opened: Opened): Promise<Ledger> {
    const facts = opened.person.isNew ? [] : await loadFacts(trx, deps.keys, opened.person.identityId);
    return new Ledger(deps, trx, opened, facts, deps.now());
  }

  async decide(record: HrRecord, ownEmployment?: EmploymentId): Promise<Decided> {
    const { identityId, isErased } = this.opened.person;
    if (isErased) return refused('person', 'the person was erased', 'nothing: an erased person takes no events');
    if (identityId === this.opened.sender.identityId)
      return refused('person', 'the person whose token sent this', 'a record about somebody else');
    const employmentId = ownEmployment ?? (await this.#employments.of(record.source, record.employment));
    if (employmentId === undefined)
      return refused(
        'employment',
        'belongs to another person',
        'an employment key that was never used for somebody else',
      );
    const sent = this.facts.find((fact) => isSameEvent(fact, record)) ?? (await this.#sentElsewhere(record));
    if (sent === 'elsewhere') return sentBefore();
    const fact = this.#factOf(record, employmentId, sent);
    const classified = classify(this.facts, fact);
    if (classified.outcome === 'duplicate') return { status: 'duplicate', identityId };
    if (sent !== undefined) return sentBefore();
    if (classified.outcome === 'rejected')
      return { ...refusedFor(classified.reason), retry: classified.retry === true };
    await this.#write(fact, record, ownEmployment === undefined, classified.retroactive);
    if (classified.outcome === 'accepted') this.#noteUrgency(fact);
    return {
      status: classified.outcome,
      identityId,
      ledgerVersion: this.#version,
      ...(classified.retroactive === undefined ? {} : { retroactive: classified.retroactive }),
    };
  }

  /** An immediate end without an instant cuts now; a repeat of it means the instant that was fixed then. */
  #factOf(record: HrRecord, employmentId: EmploymentId, sent: Fact | undefined): Fact {
    let { statement } = record;
    if (statement.kind === 'end' && statement.manner === 'immediate' && statement.at === undefined) {
      const before = sent?.statement;
      statement = { ...statement, at: (before?.kind === 'end' ? before.at : undefined) ?? this.now };
    }
    return {
      factId: brand<FactId>(randomUUID()),
      identityId: this.opened.person.identityId,
      employmentId,
      source: record.source,
      sourceEventId: record.eventId,
      sourceVersion: record.version,
      ...(record.corrects === undefined ? {} : { corrects: record.corrects }),
      recordedAt: this.now,
      statement,
    };
  }

  /** The same event and version of another person: one of the two is a mistake of the source. */
  async #sentElsewhere(record: HrRecord): Promise<'elsewhere' | undefined> {
    const row = await this.trx
      .selectFrom('fact')
      .select('fact_id')
      .where('source', '=', record.source)
      .where('source_event_id', '=', record.eventId)
      .where('source_version', '=', record.version)
      .executeTakeFirst();
    return row === undefined ? undefined : 'elsewhere';
  }

  async #write(fact: Fact, record: HrRecord, storesEmployment: boolean, retroactive?: ChangeSummary): Promise<void> {
    const { trx, deps, opened } = this;
    const { identityId } = opened.person;
    if (!this.#isStored && opened.index !== undefined)
      await createPerson(trx, deps.keys, { identityId, source: opened.source, index: opened.index });
    this.#isStored = true;
    if (storesEmployment) await this.#employments.store(record.source, record.employment);
    this.#version += 1;
    const statement = fact.statement as unknown as Json;
    await trx
      .insertInto('fact')
      .values({
        fact_id: fact.factId,
        identity_id: identityId,
        ledger_version: this.#version,
        employment_id: fact.employmentId,
        source: fact.source,
        source_event_id: fact.sourceEventId,
        source_version: fact.sourceVersion,
        corrects: fact.corrects ?? null,
        kind: fact.statement.kind,
        // Keyed: a plain hash of so few possible contents could be guessed.
        content_hash: deps.keys.blindIndex('fact', canonicalJson(statement)).toString('hex'),
        statement: await deps.keys.encryptFor(trx, identityId, 'fact', statement),
        recorded_at: fact.recordedAt,
      })
      .execute();
    this.#records.push({
      identityId,
      at: this.now,
      actor: opened.sender.name,
      action: 'fact.recorded',
      body: {
        factId: fact.factId,
        ledgerVersion: this.#version,
        source: fact.source,
        eventId: fact.sourceEventId,
        version: fact.sourceVersion,
        kind: fact.statement.kind,
        retroactiveFrom: retroactive?.from ?? null,
      },
    });
    await this.#settle(record);
    this.facts = [...this.facts, fact];
    this.written += 1;
  }

  /** An immediate end is told first; one that is in effect already stops every older visit with this transaction (design D3). */
  #noteUrgency({ statement }: Fact): void {
    if (statement.kind !== 'end' || statement.manner !== 'immediate') return;
    this.#isUrgent = true;
    if ((statement.at ?? this.now) <= this.now) this.#raisesGeneration = true;
  }

  /** Looks again at records that were refused before this batch for what was not known then. */
  async lift(): Promise<void> {
    const { index } = this.opened;
    if (index === undefined) return;
    for (let before = -1; before < this.written;) {
      before = this.written;
      for (const raw of await liftableRecords(this.trx, this.deps.keys, index)) {
        const parsed = parseRecord(raw);
        if (!parsed.ok) continue;
        const { status } = await this.decide(parsed.record);
        if (status === 'duplicate') await this.#settle(parsed.record);
      }
    }
  }

  async #settle(record: HrRecord): Promise<void> {
    await settleRejections(this.trx, record, { actor: this.opened.sender.name, now: this.now });
  }

  refuse(raw: unknown, problems: readonly Problem[], canLift: boolean): Promise<string> {
    const { index } = this.opened;
    return keepRejection(this.trx, this.deps.keys, {
      record: raw,
      problems,
      now: this.now,
      ...(canLift && index !== undefined ? { retryKey: index } : {}),
    });
  }

  /** Everything that follows from what was written, in the same transaction. */
  async finish(): Promise<{ readonly notice?: Notice }> {
    if (this.written === 0) return {};
    const { trx, deps, opened } = this;
    const { identityId } = opened.person;
    const person = personOf(identityId, this.facts);
    const policy = await deps.policies.active(trx);
    await trx
      .updateTable('identity')
      .set((eb) => ({
        ledger_version: this.#version,
        next_due_at: nextDueAt(person.transitions, policy?.lifecycle.leadTimeDays ?? 0, this.now),
        ...(this.#raisesGeneration ? { generation: eb('generation', '+', 1) } : {}),
      }))
      .where('identity_id', '=', identityId)
      .execute();
    const news = { identityId, ledgerVersion: this.#version, urgent: this.#isUrgent };
    const notice = await putIntoInbox(trx, news, this.now);
    await updateProfile(trx, deps.keys, person, this.now);
    if (this.#raisesGeneration) await revokeOwnTokens(trx, deps.keys, { identityId, at: this.now });
    for (const record of this.#records) await appendAudit(trx, deps.keys, record);
    return { notice };
  }
}

function isSameEvent(fact: Fact, record: HrRecord): boolean {
  return (
    fact.source === record.source && fact.sourceEventId === record.eventId && fact.sourceVersion === record.version
  );
}

function refused(path: string, message: string, expected: string): Decided {
  return { status: 'rejected', problems: [{ path, message, expected }] };
}

function sentBefore(): Decided {
  return refused('version', 'this version of this event was sent before with other content', 'a higher version');
}

/** MAINTENANCE: one entry per code of domain/ledger/intake.ts. */
const REASONS: Readonly<Record<RejectionCode, Problem>> = {
  'invalid-date': { path: '', message: 'not a date', expected: 'dates that exist' },
  'unknown-zone': { path: 'zone', message: 'not a zone', expected: 'an IANA zone name' },
  'contractor-end-missing': { path: 'endOn', message: 'missing', expected: 'the contract end of a contractor' },
  'contract-end-before-start': { path: 'endOn', message: 'before the start', expected: 'a date on or after startOn' },
  'withdraws-nothing': { path: 'corrects', message: 'missing', expected: 'the event that is withdrawn' },
  'unknown-employment': {
    path: 'employment',
    message: 'no hire of this employment is known',
    expected: 'its hire, now or later: this record is kept and looked at again then',
  },
  'hire-repeated': {
    path: 'employment',
    message: 'the employment is running already',
    expected: 'a change, or a correction that names the event it corrects',
  },
  'return-without-leave': {
    path: 'on',
    message: 'no leave that began before is known',
    expected: 'its leave, now or later: this record is kept and looked at again then',
  },
  'contract-already-ended': {
    path: 'endOn',
    message: 'the contract ended before this change',
    expected: 'a new hire, or a correction of the end',
  },
};

function refusedFor(code: RejectionCode | undefined): Decided {
  return {
    status: 'rejected',
    problems: [code === undefined ? { path: '', message: 'not possible', expected: '' } : REASONS[code]],
  };
}
