import type { z } from 'zod';
import type { ApiRole } from '../../db/schema.js';
import * as schemas from './schemas.js';

export type Access = 'public' | readonly ApiRole[];

/** One route: who may call it and what it looks like. Guard, idempotency and OpenAPI document are made from this table alone. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** As Fastify knows it. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly tag: string;
  readonly body?: z.ZodType;
  readonly query?: z.ZodType;
  /** Honours the Idempotency-Key header. Only for routes whose answers hold no secret. */
  readonly isIdempotent?: boolean;
  /** Statuses beside 200 that a caller should expect. */
  readonly answers: Readonly<Record<number, string>>;
}

const readers: readonly ApiRole[] = ['admin', 'operator', 'auditor', 'hr'];
const checkers: readonly ApiRole[] = ['admin', 'operator', 'auditor'];
const operators: readonly ApiRole[] = ['admin', 'operator'];

export const ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/hr/events',
    access: ['admin', 'hr'],
    tag: 'HR',
    isIdempotent: true,
    body: schemas.hrEvents,
    summary: 'States one or up to 1,000 HR events; a result per record',
    answers: { 200: 'A result per record, in order', 413: 'Body larger than 10 MB' },
  },
  {
    method: 'POST',
    path: '/v1/hr/known',
    access: ['admin', 'hr'],
    tag: 'HR',
    body: schemas.hrKnown,
    summary: 'What is known of employments of one source, for imports of snapshots',
    answers: { 200: 'One entry per key, null when unknown' },
  },
  {
    method: 'GET',
    path: '/v1/hr/rejections',
    access: ['admin', 'hr'],
    tag: 'HR',
    query: schemas.rejectionsQuery,
    summary: 'Records that could not be taken, newest first, until they are mended',
    answers: { 200: 'A page' },
  },
  {
    method: 'GET',
    path: '/v1/identities',
    access: readers,
    tag: 'Identities',
    query: schemas.identitiesQuery,
    summary: 'People by name, user name, mail address or employee number',
    answers: { 200: 'A page' },
  },
  {
    method: 'GET',
    path: '/v1/identities/:id',
    access: readers,
    tag: 'Identities',
    summary: 'State, accounts, entitlements with reasons, running processes',
    answers: { 200: 'The person', 404: 'Unknown' },
  },
  {
    method: 'GET',
    path: '/v1/identities/:id/timeline',
    access: readers,
    tag: 'Identities',
    query: schemas.pageQuery,
    summary: 'What happened and what is still to come',
    answers: { 200: 'A page', 404: 'Unknown' },
  },
  {
    method: 'GET',
    path: '/v1/identities/:id/evidence',
    access: ['admin', 'operator', 'auditor'],
    tag: 'Identities',
    query: schemas.evidenceQuery,
    summary: 'Proof of every operation',
    answers: { 200: 'A page', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/identities/:id/preview',
    access: ['admin', 'operator', 'hr'],
    tag: 'Identities',
    body: schemas.preview,
    summary: 'What would be done now, or after events that are not recorded; changes nothing',
    answers: { 200: 'Plans per phase', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/identities/:id/why',
    access: readers,
    tag: 'Identities',
    body: schemas.why,
    summary: 'Why the person has, or has not, access to an application',
    answers: { 200: 'Reasons for and against', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/identities/:id/cut',
    access: ['admin', 'operator', 'hr'],
    tag: 'Identities',
    isIdempotent: true,
    body: schemas.cut,
    summary: 'Ends every employment at once; all access is cut before anything else',
    answers: { 202: 'Recorded; Location is the person', 404: 'Unknown', 409: 'Nothing left to end' },
  },
  {
    method: 'GET',
    path: '/v1/identities/:id/cut/progress',
    access: checkers,
    tag: 'Kill switch',
    summary: 'How far a cut is, as server-sent events; ends with the address of the signed report',
    answers: {
      200: 'text/event-stream',
      204: 'Read to its end already',
      404: 'Unknown, or never cut',
      503: 'Too many',
    },
  },
  {
    method: 'POST',
    path: '/v1/cuts',
    access: operators,
    tag: 'Kill switch',
    isIdempotent: true,
    body: schemas.cuts,
    summary: 'Cuts up to 1,000 people; above the threshold of the policy it waits for a second principal',
    answers: {
      202: 'A result per person; Location is the cut',
      409: 'No policy',
      422: 'More people than policy allows',
    },
  },
  {
    method: 'GET',
    path: '/v1/cuts',
    access: operators,
    tag: 'Kill switch',
    query: schemas.pageQuery,
    summary: 'Cuts of many people, newest first',
    answers: { 200: 'A page' },
  },
  {
    method: 'GET',
    path: '/v1/cuts/:id',
    access: operators,
    tag: 'Kill switch',
    summary: 'A cut of many people: who is on it and how far each is',
    answers: { 200: 'The cut', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/cuts/:id/confirmation',
    access: operators,
    tag: 'Kill switch',
    isIdempotent: true,
    summary: 'Confirms a proposed cut, as somebody else than who proposed it; it starts at once',
    answers: { 202: 'Started', 403: 'You proposed it', 404: 'Unknown', 409: 'Confirmed already', 410: 'Expired' },
  },
  {
    method: 'POST',
    path: '/v1/identities/:id/credential',
    access: ['admin', 'operator', 'manager'],
    tag: 'Identities',
    body: schemas.credential,
    summary: 'Hands over the first credential of an application, once',
    answers: { 200: 'The credential', 404: 'None', 410: 'Collected or expired' },
  },
  {
    method: 'GET',
    path: '/v1/processes/:id',
    access: readers,
    tag: 'Processes',
    summary: 'One lifecycle process; the id is percent-encoded',
    answers: { 200: 'The process', 404: 'Unknown' },
  },
  {
    method: 'GET',
    path: '/v1/processes/:id/report',
    access: checkers,
    tag: 'Processes',
    query: schemas.reportQuery,
    summary:
      'The termination report of a leaver as known now: a flattened JWS signed with Ed25519, or a page for people',
    answers: { 200: 'application/jose+json, or text/html', 404: 'Unknown, or no leaver', 503: 'No signing key' },
  },
  {
    method: 'GET',
    path: '/v1/keys',
    access: 'public',
    tag: 'Processes',
    summary: 'Public keys (JWK) that termination reports are verified with',
    answers: { 200: 'The keys' },
  },
  {
    method: 'GET',
    path: '/v1/approvals',
    access: ['admin', 'operator', 'auditor', 'manager'],
    tag: 'Approvals',
    query: schemas.approvalsQuery,
    summary: 'Approvals; a manager sees those addressed to them',
    answers: { 200: 'A page' },
  },
  {
    method: 'POST',
    path: '/v1/approvals/:id/decision',
    access: ['manager', 'admin', 'operator', 'hr'],
    tag: 'Approvals',
    isIdempotent: true,
    body: schemas.decision,
    summary: 'Approves or denies',
    answers: {
      200: 'Recorded',
      403: 'Not your decision',
      404: 'Unknown',
      409: 'Decided already',
      410: 'Too late',
      503: 'Ask again',
    },
  },
  {
    method: 'GET',
    path: '/v1/tasks',
    access: ['admin', 'operator', 'auditor'],
    tag: 'Operator tasks',
    query: schemas.tasksQuery,
    summary: 'What waits for a person',
    answers: { 200: 'A page' },
  },
  {
    method: 'POST',
    path: '/v1/tasks/:id/resolution',
    access: operators,
    tag: 'Operator tasks',
    isIdempotent: true,
    body: schemas.resolution,
    summary: 'Retry, skip with a reason, or done by hand with proof',
    answers: { 200: 'Recorded', 404: 'Unknown', 409: 'Resolved already', 503: 'Ask again' },
  },
  {
    method: 'GET',
    path: '/v1/applications',
    access: readers,
    tag: 'Applications',
    summary: 'Applications of the policy in force, with their accounts and tasks counted',
    answers: { 200: 'All of them' },
  },
  {
    method: 'POST',
    path: '/v1/applications/:slug/test',
    access: operators,
    tag: 'Applications',
    isIdempotent: true,
    summary: 'Tests the application against its target, from where the target is reachable; reads only',
    answers: { 202: 'Begun; Location is the test', 404: 'Unknown', 503: 'Ask again' },
  },
  {
    method: 'GET',
    path: '/v1/applications/:slug/tests/:id',
    access: checkers,
    tag: 'Applications',
    summary: 'State and report of a test; kept for a day',
    answers: { 200: 'The test', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/applications/:slug/imports',
    access: operators,
    tag: 'Applications',
    isIdempotent: true,
    body: schemas.accountImport,
    summary: 'Lists the accounts that the target has and finds to whom they belong; links the sure ones when asked to',
    answers: { 202: 'Begun; Location is the import', 404: 'Unknown', 409: 'One is running', 503: 'Ask again' },
  },
  {
    method: 'GET',
    path: '/v1/applications/:slug/imports/:id',
    access: checkers,
    tag: 'Applications',
    summary: 'State and counts of an import',
    answers: { 200: 'The import', 404: 'Unknown' },
  },
  {
    method: 'GET',
    path: '/v1/applications/:slug/imports/:id/accounts',
    access: checkers,
    tag: 'Applications',
    query: schemas.stagedQuery,
    summary: 'What an import found, account by account; deleted after a day',
    answers: { 200: 'A page', 404: 'Unknown' },
  },
  {
    method: 'POST',
    path: '/v1/applications/:slug/links',
    access: operators,
    tag: 'Applications',
    isIdempotent: true,
    body: schemas.accountLink,
    summary: 'Links a listed account to a person; never overwrites a link',
    answers: { 200: 'Linked', 404: 'Unknown, or not listed', 409: 'Linked to another person' },
  },
  {
    method: 'POST',
    path: '/v1/applications/:slug/unlink',
    access: operators,
    tag: 'Applications',
    isIdempotent: true,
    body: schemas.accountUnlink,
    summary: 'Takes a wrong link back; the account itself is not touched',
    answers: { 200: 'Unlinked', 404: 'Linked to nobody', 409: 'In use, or made by Tenure' },
  },
  {
    method: 'GET',
    path: '/v1/audit',
    access: ['admin', 'auditor'],
    tag: 'Audit',
    query: schemas.auditQuery,
    summary: 'Audit records by identity and sequence',
    answers: { 200: 'A page' },
  },
  {
    method: 'GET',
    path: '/v1/audit/verification',
    access: ['admin', 'auditor'],
    tag: 'Audit',
    query: schemas.verificationQuery,
    summary: 'Reads every chain and names each changed, removed, reordered or cut-off record',
    answers: { 200: 'The findings' },
  },
  {
    method: 'GET',
    path: '/v1/policy',
    access: readers,
    tag: 'Policy',
    summary: 'The policy in force',
    answers: { 200: 'Version, hash and files', 404: 'None published' },
  },
  {
    method: 'POST',
    path: '/v1/policy/check',
    access: readers,
    tag: 'Policy',
    body: schemas.policyCheck,
    summary: 'Checks policy files; publishes nothing',
    answers: { 200: 'ok, or problems with file and line' },
  },
  {
    method: 'GET',
    path: '/v1/status',
    access: readers,
    tag: 'Health',
    summary: 'How much is going on',
    answers: { 200: 'Counts' },
  },
  {
    method: 'GET',
    path: '/healthz',
    access: 'public',
    tag: 'Health',
    summary: 'The process is alive',
    answers: { 200: 'Alive' },
  },
  {
    method: 'GET',
    path: '/readyz',
    access: 'public',
    tag: 'Health',
    summary: 'HR events can be taken',
    answers: { 200: 'Ready', 503: 'Not ready' },
  },
  {
    method: 'GET',
    path: '/metrics',
    access: 'public',
    tag: 'Health',
    summary: 'Prometheus metrics: counts and durations only',
    answers: { 200: 'Text' },
  },
];

/** Documentation pages, served by Nest's own module. */
const DOCS = /^\/docs($|\/|-json$)/;

/** The route of a request; undefined for one that nobody declared, which is then refused. */
export function routeFor(method: string, path: string | undefined): Route | 'docs' | undefined {
  if (path === undefined) return undefined;
  if (DOCS.test(path)) return 'docs';
  const asked = method === 'HEAD' ? 'GET' : method;
  return ROUTES.find((route) => route.method === asked && route.path === path);
}
