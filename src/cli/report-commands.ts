import type { Command } from 'commander';
import { readFile, writeFile } from 'node:fs/promises';
import { ReportSignatureError, publicKeysSchema, unverifiedReport, verifyReport } from '../report/signature.js';
import type { PublicKeys } from '../report/signature.js';
import type { TerminationReport } from '../report/types.js';
import { findPublicKeys } from './client.js';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, instant, table } from './output.js';

interface PersonProcesses {
  readonly processes: readonly { readonly processId: string; readonly kind: string; readonly openedAt: string }[];
}

interface KeptReports {
  readonly reports: readonly {
    readonly version: number;
    readonly occasion: string;
    readonly madeAt: string;
    readonly hash: string;
  }[];
}
interface ListedNotice {
  readonly noticeId: string;
  readonly identity: { readonly displayName: string };
  readonly recipient: { readonly displayName: string } | null;
  readonly kind: string;
  readonly state: string;
  readonly tries: number;
  readonly code: string | null;
  readonly createdAt: string;
  readonly sentAt: string | null;
}

/** `report get`, `report list`, `report keys` and `notices` ask the server; `report show` and `report verify` need a file and nothing else. */
export function addReportCommands(program: Command, context: CliContext): void {
  const report = program.command('report').description('signed termination reports');
  report
    .command('get <who>')
    .description('the report of the newest leaver process of a person, signed')
    .option('--out <file>', 'write it there instead of showing it')
    .option('--html', 'as a page for people (not signed)')
    .option('--kept <version>', 'the one that the process made and kept, instead of one made now')
    .action(async (who: string, flags: { out?: string; html?: boolean; kept?: string }) => {
      const processId = await leaverOf(context, await findPerson(context, who));
      const format = flags.html === true ? 'html' : 'json';
      const which = flags.kept === undefined ? 'report' : `reports/${encodeURIComponent(flags.kept)}`;
      const path = `/v1/processes/${encodeURIComponent(processId)}/${which}?format=${format}`;
      const text = await context.api.text(path);
      if (flags.out === undefined) return context.terminal.out(text.trimEnd());
      await writeFile(flags.out, text, { mode: 0o600 });
      context.show({ file: flags.out }, () => `Written to ${flags.out ?? ''}.`);
    });
  report
    .command('list <who>')
    .description('the reports that the newest leaver process of a person made by itself, oldest first')
    .action(async (who: string) => {
      const processId = await leaverOf(context, await findPerson(context, who));
      const kept = await context.api.get<KeptReports>(`/v1/processes/${encodeURIComponent(processId)}/reports`);
      context.show(kept, () =>
        table(
          ['Version', 'Occasion', 'Made', 'SHA-256 of the signed text'],
          kept.reports.map((one) => [one.version, one.occasion, instant(one.madeAt), one.hash]),
        ),
      );
    });
  const notices = program
    .command('notices')
    .description('notices to managers: sent, on their way, or why not')
    .option('--state <state>', 'pending, sent, failed, not-configured, no-recipient or all')
    .action(async (flags: { state?: string }) => {
      const query = flags.state === undefined ? '' : `?state=${encodeURIComponent(flags.state)}`;
      const items = await context.api.list<ListedNotice>(`/v1/notices${query}`, 1_000);
      context.show(items, () =>
        table(
          ['About', 'To', 'Kind', 'State', 'Tries', 'Code', 'Made', 'Sent', 'Id'],
          items.map((one) => [
            one.identity.displayName,
            one.recipient?.displayName ?? 'nobody',
            one.kind,
            one.state,
            one.tries,
            one.code,
            instant(one.createdAt),
            instant(one.sentAt),
            one.noticeId,
          ]),
        ),
      );
    });
  notices
    .command('send <id>')
    .description('sends a notice once more, to the manager of now')
    .action(async (id: string) => {
      const path = `/v1/notices/${encodeURIComponent(id)}/sending`;
      const result = await context.api.post<{ state: string }>(path, {});
      context.show(result, () => fields([['Notice', result.state]]));
    });
  report
    .command('keys')
    .description('the public keys that reports are verified with; keep them with the reports')
    .option('--out <file>', 'write them there instead of showing them')
    .action(async (flags: { out?: string }) => {
      const text = JSON.stringify(publicKeysSchema.parse(await context.api.get('/v1/keys')), undefined, 2);
      if (flags.out === undefined) return context.terminal.out(text);
      await writeFile(flags.out, `${text}\n`);
      context.show({ file: flags.out }, () => `Written to ${flags.out ?? ''}.`);
    });
  report
    .command('show <file>')
    .description('what a report says; does not look at its signature')
    .action(async (file: string) => {
      const found = unverifiedReport(await textOf(file));
      if (found === undefined) throw new CliError(EXIT.usage, `${file} is no termination report.`);
      context.show(found, () => renderReport(found));
    });
  report
    .command('verify <file>')
    .description('checks the signature with public keys alone; needs no server')
    .option('--key <file>', 'public keys as GET /v1/keys gives them (default: those of the stack that runs here)')
    .action(async (file: string, flags: { key?: string }) => {
      const keys = flags.key === undefined ? findPublicKeys(context.config) : await keysIn(flags.key);
      if (keys === undefined)
        throw new CliError(EXIT.usage, 'No public key is known here: give --key with what GET /v1/keys answers.');
      const text = await textOf(file);
      try {
        const { report: verified, keyId } = await verifyReport(text, keys);
        context.show({ ok: true, keyId, processId: verified.processId, generatedAt: verified.generatedAt }, () =>
          fields([
            ['Signature', 'right: nothing was changed'],
            ['Key', keyId],
            ['Person', verified.person.name ?? verified.person.identityId],
            ['Report made', instant(verified.generatedAt)],
          ]),
        );
      } catch (error) {
        if (!(error instanceof ReportSignatureError)) throw error;
        context.exitCode = EXIT.failure;
        context.show({ ok: false, problem: error.message }, () => `NOT VALID. ${error.message}`);
      }
    });
}

async function leaverOf(context: CliContext, identityId: string): Promise<string> {
  const { processes } = await context.api.get<PersonProcesses>(`/v1/identities/${identityId}`);
  const leavers = processes.filter((one) => one.kind === 'leaver');
  const newest = leavers.sort((a, b) => (a.openedAt < b.openedAt ? -1 : 1)).at(-1);
  if (newest === undefined) throw new CliError(EXIT.notFound, 'This person has not left: there is no report.');
  return newest.processId;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${file} cannot be read.`);
  }
}

async function keysIn(file: string): Promise<PublicKeys> {
  try {
    return publicKeysSchema.parse(JSON.parse(await textOf(file)));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT.usage, `${file} does not hold public keys as GET /v1/keys gives them.`);
  }
}

function renderReport(report: TerminationReport): string {
  const { person, summary, exposure, residual } = report;
  const actions = table(
    ['Tier', 'Application', 'Action', 'Deadline', '', 'State', 'Proven at'],
    report.actions.map((one) => [
      one.tier,
      one.application,
      one.entitlement === null ? one.operation : `${one.operation} ${one.entitlement}`,
      instant(one.deadlineAt),
      one.deadline,
      one.state,
      instant(one.provenAt),
    ]),
  );
  return [
    fields([
      ['Person', person.name ?? person.identityId],
      ['Access ends', instant(report.effectiveAt)],
      ['Known since', instant(report.knownAt)],
      ['Report made', instant(report.generatedAt)],
      [
        'Actions',
        `${summary.actions}: ${summary.proven} proven, ${summary.attested} attested, ${summary.unproven} not`,
      ],
      ['Deadlines', `${summary.met} met, ${summary.missed} missed, ${summary.open} open`],
      ...(exposure === null
        ? []
        : ([['Exposed', `${instant(exposure.from)} to ${instant(exposure.until) || 'now'}`]] as const)),
    ]),
    '',
    actions,
    '',
    'Residual access:',
    table(
      ['Application', 'Operation', 'What', 'Until at the latest'],
      residual.map((one) => [one.application, one.operation, one.what, instant(one.until) || 'nobody knows']),
    ),
  ].join('\n');
}
