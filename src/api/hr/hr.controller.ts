import { Body, Controller, Get, HttpCode, Inject, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import { brand } from '../../domain/process/ids.js';
import type { Instant } from '../../domain/process/ids.js';
import { knownOf } from '../../hr/known.js';
import type { KnownEmployment } from '../../hr/known.js';
import { loadFacts } from '../../planning/person.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import { ApiProblem } from '../http/problem.js';
import { hrEventsShape, hrKnown, rejectionsQuery } from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { acceptRecords } from './intake.js';
import type { RecordResult } from './intake.js';
import { employmentIndex, personIndex } from './person-lookup.js';
import { readRejection } from './rejections.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);
const STATUSES = ['accepted', 'duplicate', 'superseded', 'rejected', 'failed'] as const;

@Controller('v1/hr')
export class HrController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** One event or up to 1,000; a result per record, in order. */
  @Post('events')
  @HttpCode(200)
  async events(@Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const checked = validated(hrEventsShape, body);
    const records: readonly unknown[] = Array.isArray(checked) ? checked : [checked];
    const { name, identityId } = callerIn(request);
    const results = await acceptRecords(this.deps, { name, identityId }, records);
    if (results.every((result) => result.status === 'failed'))
      throw new ApiProblem(503, 'not-recorded', 'Nothing could be recorded; send the request again.');
    return { ...countsOf(results), results };
  }

  /** What a snapshot import compares its rows with. */
  @Post('known')
  @HttpCode(200)
  async known(@Body() body: unknown): Promise<{ readonly items: readonly (KnownEmployment | null)[] }> {
    const { source, keys } = validated(hrKnown, body);
    const items: (KnownEmployment | null)[] = [];
    for (const key of keys) items.push(await this.#knownOf(source, key));
    return { items };
  }

  async #knownOf(
    source: string,
    key: { readonly person: string; readonly employment: string },
  ): Promise<KnownEmployment | null> {
    const { db, keys } = this.deps;
    const row = await db
      .selectFrom('person_key')
      .innerJoin('identity', 'identity.identity_id', 'person_key.identity_id')
      .innerJoin('employment', 'employment.identity_id', 'identity.identity_id')
      .select(['identity.identity_id', 'identity.ledger_version', 'employment.employment_id'])
      .where('person_key.source', '=', source)
      .where('person_key.key_index', '=', personIndex(keys, source, key.person))
      .where('employment.source', '=', source)
      .where('employment.key_index', '=', employmentIndex(keys, source, key.employment))
      .executeTakeFirst();
    if (row === undefined) return null;
    const facts = await loadFacts(db, keys, row.identity_id);
    const known = knownOf({
      facts,
      employmentId: row.employment_id,
      source,
      ledgerVersion: row.ledger_version,
      now: this.deps.now(),
    });
    return known ?? null;
  }

  @Get('rejections')
  async rejections(@Query() query: unknown): Promise<object> {
    const { db, keys } = this.deps;
    const { state, after, limit } = validated(rejectionsQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await db
      .selectFrom('hr_rejection')
      .selectAll()
      .$if(state === 'open', (select) => select.where('resolved_at', 'is', null))
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(received_at, rejection_id) < (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('received_at', 'desc')
      .orderBy('rejection_id', 'desc')
      .limit(limit + 1)
      .execute();
    const records = await Promise.all(rows.map((row) => readRejection(db, keys, row.record)));
    const recordOf = new Map(rows.map((row, index) => [row.rejection_id, records[index] ?? null]));
    return pageOf(
      rows,
      limit,
      (row) => [row.received_at, row.rejection_id],
      (row) => ({
        rejectionId: row.rejection_id,
        receivedAt: brand<Instant>(row.received_at),
        source: row.source,
        eventId: row.source_event_id,
        problems: row.problems,
        retried: row.retry_key !== null,
        resolvedAt: row.resolved_at,
        resolvedBy: row.resolved_by,
        record: recordOf.get(row.rejection_id) ?? null,
      }),
    );
  }
}

function countsOf(results: readonly RecordResult[]): Readonly<Record<(typeof STATUSES)[number], number>> {
  const count = (status: string): number => results.filter((result) => result.status === status).length;
  return Object.fromEntries(STATUSES.map((status) => [status, count(status)])) as ReturnType<typeof countsOf>;
}
