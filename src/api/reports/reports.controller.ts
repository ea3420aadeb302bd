import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { brand } from '../../domain/process/ids.js';
import type { ProcessId } from '../../domain/process/ids.js';
import { reportPage } from '../../report/html.js';
import { makeReport } from '../../report/make-report.js';
import { unverifiedReport } from '../../report/signature.js';
import type { PublicKeys, ReportSigner } from '../../report/signature.js';
import { findReport, listReports, readReport } from '../../report/store.js';
import type { StoredReport } from '../../report/store.js';
import type { TerminationReport } from '../../report/types.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import type { Caller } from '../http/tokens.js';
import { ApiProblem, notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';

/** A page that nothing can be added to: no script, no picture, nothing from elsewhere. */
const PAGE_ONLY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

@Controller('v1')
export class ReportsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** The public keys that reports are verified with. */
  @Get('keys')
  keys(): PublicKeys {
    const { reportSigner } = this.deps;
    return { keys: reportSigner === undefined ? [] : [reportSigner.publicKey] };
  }

  /** A leaver's report as known now: signed (a flattened JWS), or as a page for people. */
  @Get('processes/:id/report')
  async report(
    @Param('id') id: string,
    @Query() query: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const { format } = validated(schemas.reportQuery, query);
    const { db, keys } = this.deps;
    const signer = this.#signer();
    const report = await makeReport(db, keys, brand<ProcessId>(id), this.deps.now());
    if (report === undefined) throw notFound('leaver');
    return format === 'html' ? asPage(reply, report, signer.publicKey.kid) : asSigned(reply, await signer.sign(report));
  }

  /** What the process has kept, without a word of what is in it. */
  @Get('processes/:id/reports')
  async versions(@Param('id') id: string): Promise<object> {
    const processId = brand<ProcessId>(id);
    const reports = await listReports(this.deps.db, processId);
    if (reports.length === 0 && !(await this.#isLeaver(processId))) throw notFound('leaver');
    return {
      reports: reports.map((one) => ({
        version: one.version,
        occasion: one.occasion,
        madeAt: one.made_at,
        keyId: one.key_id,
        hash: one.hash,
      })),
    };
  }

  /** A kept report as it was signed. To a manager it exists only when a notice told this manager of it. */
  @Get('processes/:id/reports/:version')
  async kept(
    @Param('id') id: string,
    @Param('version') version: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const { format } = validated(schemas.reportQuery, query);
    const { db, keys } = this.deps;
    const number = schemas.reportVersion.safeParse(version);
    if (!number.success) throw notFound('report');
    const report = await findReport(db, { processId: brand<ProcessId>(id), version: number.data });
    if (report === undefined || !(await this.#mayRead(callerIn(request), report))) throw notFound('report');
    const text = await readReport(db, keys, report);
    if (text === undefined) throw new ApiProblem(410, 'erased', 'The person was erased; nobody can read this report.');
    const said = unverifiedReport(text);
    return format === 'html' && said !== undefined ? asPage(reply, said, report.key_id) : asSigned(reply, text);
  }

  async #mayRead(caller: Caller, report: StoredReport): Promise<boolean> {
    if (caller.role !== 'manager') return true;
    if (caller.identityId === undefined) return false;
    const notice = await this.deps.db
      .selectFrom('notice')
      .select('notice_id')
      .where('report_id', '=', report.report_id)
      .where('recipient_identity_id', '=', caller.identityId)
      .executeTakeFirst();
    return notice !== undefined;
  }

  async #isLeaver(processId: ProcessId): Promise<boolean> {
    const row = await this.deps.db
      .selectFrom('process')
      .select('process_id')
      .where('process_id', '=', processId)
      .where('kind', '=', 'leaver')
      .executeTakeFirst();
    return row !== undefined;
  }

  #signer(): ReportSigner {
    const { reportSigner } = this.deps;
    if (reportSigner === undefined)
      throw new ApiProblem(503, 'no-signing-key', 'This server has no key to sign reports with.', {
        detail: 'TENURE_REPORT_KEY must refer to an Ed25519 key in PEM.',
      });
    return reportSigner;
  }
}

function asPage(reply: FastifyReply, report: TerminationReport, keyId: string): string {
  void reply.header('cache-control', 'no-store').header('content-type', 'text/html; charset=utf-8');
  void reply.header('content-security-policy', PAGE_ONLY).header('x-content-type-options', 'nosniff');
  return reportPage(report, keyId);
}

function asSigned(reply: FastifyReply, text: string): string {
  void reply.header('cache-control', 'no-store').header('content-type', 'application/jose+json');
  return text;
}
