import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import type { ChangeSummary } from '../../domain/ledger/intake.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import type { Problem } from '../../hr/problems.js';
import { parseRecord } from '../../hr/record.js';
import type { HrRecord } from '../../hr/record.js';
import type { PolicyStore } from '../../planning/policy-store.js';
import type { Notice } from '../dispatch/dispatcher.js';
import type { ApiMetrics } from '../metrics.js';
import { acceptForPerson } from './person-intake.js';
import { keepRejection } from './rejections.js';

export interface IntakeDeps {
  readonly db: Database;
  readonly keys: KeyRing;
  readonly policies: PolicyStore;
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  readonly dispatcher: { notify(notice: Notice): void };
  now(): Instant;
}

/** What became of one record. `failed`: nothing is known against it and nothing was recorded; send it again. */
export interface RecordResult {
  readonly index: number;
  readonly eventId?: string;
  readonly status: 'accepted' | 'duplicate' | 'superseded' | 'rejected' | 'failed';
  readonly identityId?: IdentityId;
  readonly ledgerVersion?: number;
  /** What it changes that lies in the past: kinds, instants and attribute names. */
  readonly retroactive?: ChangeSummary;
  readonly problems?: readonly Problem[];
  readonly rejectionId?: string;
  /** The rejection is looked at again by itself after every accepted fact of the person. */
  readonly retried?: boolean;
}

/** Who sends records: a token's name, and the person it belongs to, of whom it takes nothing. */
export interface Sender {
  readonly name: string;
  readonly identityId?: IdentityId | undefined;
}

export interface IndexedRecord {
  readonly index: number;
  readonly raw: unknown;
  readonly record: HrRecord;
}

const CONCURRENT_PEOPLE = 6;

/**
 * Takes HR records from the door: each is accepted, a duplicate, superseded or rejected with reasons, and a bad one never blocks the rest. Records of one
 * person are decided in one transaction, in the order given, with their effect on the person's list row, inbox and audit; people are independent of one
 * another. Identity workflows are told after the commit. Safe to repeat as a whole: what was accepted becomes a duplicate.
 */
export async function acceptRecords(
  deps: IntakeDeps,
  sender: Sender,
  records: readonly unknown[],
): Promise<readonly RecordResult[]> {
  const results: RecordResult[] = [];
  const people = new Map<string, IndexedRecord[]>();
  for (const [index, raw] of records.entries()) {
    const parsed = parseRecord(raw);
    if (!parsed.ok) {
      results.push(await reject(deps, index, raw, parsed.problems));
      continue;
    }
    const key = JSON.stringify([parsed.record.source, parsed.record.person]);
    people.set(key, [...(people.get(key) ?? []), { index, raw, record: parsed.record }]);
  }
  const waiting = [...people.values()];
  const work = async (): Promise<void> => {
    for (let group = waiting.shift(); group !== undefined; group = waiting.shift())
      results.push(...(await acceptGroup(deps, sender, group)));
  };
  await Promise.all(Array.from({ length: CONCURRENT_PEOPLE }, work));
  for (const result of results) deps.metrics.records.inc({ status: result.status });
  return results.sort((a, b) => a.index - b.index);
}

async function reject(
  deps: IntakeDeps,
  index: number,
  raw: unknown,
  problems: readonly Problem[],
): Promise<RecordResult> {
  const rejectionId = await keepRejection(deps.db, deps.keys, { record: raw, problems, now: deps.now() });
  const { eventId } = (typeof raw === 'object' && raw !== null ? raw : {}) as { eventId?: unknown };
  const named = typeof eventId === 'string' && eventId.length <= 200 ? { eventId } : {};
  return { index, ...named, status: 'rejected', problems, rejectionId };
}

async function acceptGroup(
  deps: IntakeDeps,
  sender: Sender,
  group: readonly IndexedRecord[],
): Promise<readonly RecordResult[]> {
  try {
    const accepted = await acceptForPerson(deps, sender, group);
    if (accepted.notice !== undefined) deps.dispatcher.notify(accepted.notice);
    return accepted.results;
  } catch (error) {
    const { name, code, stack } = error as { name?: string; code?: string; stack?: string };
    const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line));
    deps.logger.error({ name, code, frames }, 'records of one person could not be recorded');
    return group.map(({ index, record }) => ({ index, eventId: record.eventId, status: 'failed' as const }));
  }
}
