import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { createShippedRegistry } from '../connectors/kinds.js';
import { createSecretStore } from '../connectors/secret-store.js';
import { vaultReferencesIn } from '../domain/policy/secret-reference.js';
import { discover } from '../onboarding/discover.js';
import type { TestReport } from '../onboarding/report.js';
import { subjectOf } from '../onboarding/subject.js';
import { testApplication } from '../onboarding/test-application.js';
import type { TestTools } from '../onboarding/test-application.js';
import { connectorChecks } from '../policy/connector-checks.js';
import { loadPolicyFiles } from '../policy/load.js';
import { findPerson } from './context.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, table } from './output.js';

const POLL_MS = 500;
const SHOWN = 1_000;
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface TestView {
  readonly state: 'running' | 'done';
  readonly stage: string;
  readonly report: TestReport | null;
}
interface ImportView {
  readonly importId: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly stage: string;
  readonly code: string | null;
  readonly isComplete: boolean | null;
  readonly pages: number;
  readonly accounts: number;
  readonly identities: number;
  readonly counts: Readonly<Record<string, number>> | null;
}
interface StagedView {
  readonly nativeId: string;
  readonly login: string;
  readonly status: string;
  readonly result: string;
  readonly code: string | null;
  readonly keys: readonly string[];
  readonly identities: readonly {
    readonly identityId: string;
    readonly displayName: string;
    readonly lifecycle: string | null;
  }[];
}

/** `app test|discover|import|link|unlink`: from a file to an application whose accounts Tenure knows. */
export function addAppCommands(program: Command, context: CliContext): void {
  const app = program.command('app').description('connect an application');
  app
    .command('test <file-or-slug>')
    .description(
      'tests an application and names what is wrong; reads only. A FILE is tested from here, a SLUG of the policy from its worker',
    )
    .action(async (what: string) => {
      const report = isFile(what) ? await testFile(context, what) : await testSlug(context, what);
      if (!report.ok) context.exitCode = EXIT.failure;
      context.show(report, () => renderReport(report));
    });
  app
    .command('discover <file>')
    .description('reads the target’s schema and proposes login, attributes and correlation')
    .option('--write', 'completes the file; what stands there stays')
    .action(async (path: string, flags: { write?: boolean }) => {
      const file = { path: `applications/${basename(path)}`, text: await textOf(path) };
      const result = await withTools(context, (tools) => discover(file, tools));
      if (!result.ok) throw new CliError(result.isFileWrong ? EXIT.usage : EXIT.failure, `${path}: ${result.message}`);
      if (flags.write === true) await writeFile(path, result.text);
      context.show({ ...result, written: flags.write === true }, () =>
        flags.write === true
          ? `${path} is completed: ${result.added.join(', ') || 'nothing was missing'}.`
          : result.text,
      );
    });
  addImport(app, context);
}

function addImport(app: Command, context: CliContext): void {
  app
    .command('import <slug>')
    .description('lists the accounts that the target has and finds to whom they belong')
    .option('--link', 'links the sure ones')
    .option('--page-size <n>', 'accounts per page', '200')
    .action(async (slug: string, flags: { link?: boolean; pageSize: string }) => {
      const body = { link: flags.link === true, pageSize: Number(flags.pageSize) };
      const path = `/v1/applications/${encodeURIComponent(slug)}/imports`;
      const { importId } = await context.api.post<{ importId: string }>(path, body);
      const found = await until<ImportView>(
        context,
        `${path}/${importId}`,
        (one) => `${one.stage}: ${one.accounts} accounts on ${one.pages} pages, ${one.identities} people`,
      );
      if (found.state === 'failed')
        throw new CliError(
          EXIT.failure,
          `The import ended early (${found.code ?? 'unknown'}); nothing is half done, begin it again.`,
        );
      const accounts = await context.api.list<StagedView>(`${path}/${importId}/accounts`, SHOWN);
      context.show({ ...found, items: accounts }, () => renderImport(found, accounts));
    });
  app
    .command('link <slug> <native-id> <who>')
    .description('links one listed account to a person')
    .action(async (slug: string, nativeId: string, who: string) => {
      const identityId = await findPerson(context, who);
      const path = `/v1/applications/${encodeURIComponent(slug)}/links`;
      const result = await context.api.post<{ outcome: string }>(path, { nativeId, identityId });
      context.show(result, () => fields([['Link', result.outcome]]));
    });
  app
    .command('unlink <slug> <native-id>')
    .description('takes a wrong link back; the account itself is not touched')
    .option('--reason <text>', 'kept with the audit record')
    .action(async (slug: string, nativeId: string, flags: { reason?: string }) => {
      const path = `/v1/applications/${encodeURIComponent(slug)}/unlink`;
      const result = await context.api.post<{ outcome: string }>(path, { nativeId, ...flags });
      context.show(result, () => fields([['Link', result.outcome]]));
    });
}

/** What ends in .yaml, or has a folder in front, is a file; a slug has neither. */
function isFile(what: string): boolean {
  return /\.ya?ml$/.test(what) || what.includes('/') || what.includes('\\');
}

async function testFile(context: CliContext, path: string): Promise<TestReport> {
  const file = { path: `applications/${basename(path)}`, text: await textOf(path) };
  const others = await loadPolicyFiles(context.config.policyDir, context.policyOverlay).catch(() => []);
  return withTools(context, (tools) =>
    testApplication(subjectOf(file, others, connectorChecks(tools.registry)), {
      ...tools,
      progress: (check) => progress(context, `${check} …`),
    }),
  );
}

async function testSlug(context: CliContext, slug: string): Promise<TestReport> {
  const path = `/v1/applications/${encodeURIComponent(slug)}`;
  const { testId } = await context.api.post<{ testId: string }>(`${path}/test`, {});
  const found = await until<TestView>(context, `${path}/tests/${testId}`, (one) => `${one.stage} …`);
  if (found.report === null) throw new CliError(EXIT.failure, 'The test left no report.');
  return found.report;
}

/** Asks until it no longer runs; shows each change on a terminal. */
async function until<T extends { readonly state: string }>(
  context: CliContext,
  path: string,
  words: (view: T) => string,
): Promise<T> {
  let last = '';
  for (;;) {
    const view = await context.api.get<T>(path);
    if (view.state !== 'running') return view;
    const now = words(view);
    if (now !== last) progress(context, now);
    last = now;
    await delay(POLL_MS);
  }
}

function progress(context: CliContext, text: string): void {
  if (context.terminal.isInteractive) context.terminal.err(text);
}

/** Works with the connectors and the secrets of where the command runs, its own Vault among them. */
async function withTools<T>(context: CliContext, work: (tools: Omit<TestTools, 'progress'>) => Promise<T>): Promise<T> {
  const store = createSecretStore({ env: context.variables, vault: context.config.vault, logger: SILENT });
  const { signal } = new AbortController();
  try {
    return await work({
      registry: createShippedRegistry(),
      deps: { secrets: store.resolve, logger: SILENT },
      prepare: (config) => store.prepare(vaultReferencesIn(config), signal),
      signal,
    });
  } finally {
    await store.close();
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read.`);
  }
}

function renderReport(report: TestReport): string {
  const findings = report.findings.map((one) => {
    const place = one.file === undefined ? '' : `${one.file}:${one.line ?? 1} `;
    const expected = one.expected === undefined ? '' : `\n    expected: ${one.expected}`;
    return `${one.severity} ${one.check}/${one.code}: ${place}${one.message}${expected}`;
  });
  const page =
    report.firstPage === undefined
      ? ''
      : `${report.firstPage.accounts}${report.firstPage.isAll ? ' accounts, all of them' : ' accounts on the first page, more follow'}`;
  return [
    table(
      ['Check', 'Result'],
      report.checks.map((one) => [
        one.check,
        one.check === 'list' && page !== '' ? `${one.state} (${page})` : one.state,
      ]),
    ),
    ...(findings.length === 0 ? [] : ['', ...findings]),
    ...(report.abilities.length === 0
      ? []
      : [
          '',
          table(
            ['Operation', 'Done by', ''],
            report.abilities.map((one) => [one.operation, one.by, one.note]),
          ),
        ]),
    '',
    report.ok
      ? `${report.application} can be connected.`
      : `${report.application || 'The file'} is not ready: see the errors.`,
  ].join('\n');
}

function renderImport(found: ImportView, accounts: readonly StagedView[]): string {
  const counts = Object.entries(found.counts ?? {}).map(([name, count]) => `${count} ${name}`);
  const note = found.isComplete === false ? ' The target did not promise a whole list.' : '';
  const more = found.accounts > accounts.length ? [`The first ${accounts.length} of ${found.accounts} are shown.`] : [];
  return [
    table(
      ['Native id', 'Login', 'State', 'Result', 'By', 'Person'],
      accounts.map((one) => [
        one.nativeId,
        one.login,
        one.status,
        one.code === null ? one.result : `${one.result} (${one.code})`,
        one.keys.join(', '),
        one.identities
          .map((person) => `${person.displayName}${person.lifecycle === 'left' ? ' (left)' : ''} ${person.identityId}`)
          .join('\n'),
      ]),
    ),
    '',
    `${found.accounts} accounts: ${counts.join(', ')}.${note}`,
    ...more,
  ].join('\n');
}
