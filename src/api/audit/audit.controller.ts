import { Controller, Get, Inject, Query } from '@nestjs/common';
import { sql } from 'kysely';
import { z } from 'zod';
import { verifyAudit } from '../../db/audit.js';
import type { AuditVerification } from '../../db/audit.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';

const cursorSchema = z.tuple([z.uuid(), z.int()]);

@Controller('v1/audit')
export class AuditController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** Records in the order of their chains. The body of an erased person's record is null; its hash still verifies. */
  @Get()
  async list(@Query() query: unknown): Promise<Page<object>> {
    const { db, keys } = this.deps;
    const { identity, after, limit } = validated(schemas.auditQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .$if(identity !== undefined, (select) => select.where('identity_id', '=', identity ?? ''))
      .$if(cursor !== undefined, (select) =>
        select.where(sql<boolean>`(identity_id, seq) > (${cursor?.[0] ?? ''}::uuid, ${cursor?.[1] ?? 0}::integer)`),
      )
      .orderBy('identity_id')
      .orderBy('seq')
      .limit(limit + 1)
      .execute();
    const bodies = await Promise.all(
      rows.map((row) =>
        keys.decryptFor(db, row.identity_id as IdentityId, 'audit', row.body).catch(() => 'unreadable'),
      ),
    );
    const bodyOf = new Map(rows.map((row, index) => [`${row.identity_id}/${row.seq}`, bodies[index] ?? null]));
    return pageOf(
      rows,
      limit,
      (row) => [row.identity_id, row.seq],
      (row) => ({
        identityId: row.identity_id,
        seq: row.seq,
        at: row.at,
        actor: row.actor,
        action: row.action,
        body: bodyOf.get(`${row.identity_id}/${row.seq}`) ?? null,
        hash: row.hash.toString('hex'),
        previousHash: row.prev_hash.toString('hex'),
      }),
    );
  }

  @Get('verification')
  async verification(@Query() query: unknown): Promise<AuditVerification> {
    const { identity } = validated(schemas.verificationQuery, query);
    return verifyAudit(this.deps.db, identity as IdentityId | undefined);
  }
}
