import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { brand } from '../../domain/process/ids.js';
import type { ProcessId } from '../../domain/process/ids.js';
import { reportPage } from '../../report/html.js';
import { makeReport } from '../../report/make-report.js';
import type { PublicKeys, ReportSigner } from '../../report/signature.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
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
    void reply.header('cache-control', 'no-store');
    if (format === 'html') {
      void reply.header('content-type', 'text/html; charset=utf-8');
      void reply.header('content-security-policy', PAGE_ONLY).header('x-content-type-options', 'nosniff');
      return reportPage(report, signer.publicKey.kid);
    }
    void reply.header('content-type', 'application/jose+json');
    return signer.sign(report);
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
