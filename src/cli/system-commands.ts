import type { Command } from 'commander';
import { createShippedRegistry } from '../connectors/kinds.js';
import { compilePolicy } from '../domain/policy/compile.js';
import type { PolicyFiles } from '../domain/policy/types.js';
import { connectorChecks } from '../policy/connector-checks.js';
import { loadPolicyFiles } from '../policy/load.js';
import type { CliContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { fields, table } from './output.js';

interface PolicyView {
  readonly version: number;
  readonly hash: string;
  readonly applications: readonly { readonly slug: string; readonly name: string; readonly mode: string }[];
  readonly roles: readonly {
    readonly slug: string;
    readonly name: string;
    readonly when: string | null;
    readonly grants: readonly {
      readonly application: string;
      readonly entitlement?: string;
      readonly sensitive: boolean;
    }[];
  }[];
}
interface Verification {
  readonly chains: number;
  readonly records: number;
  readonly problems: readonly { readonly identityId: string; readonly seq: number; readonly problem: string }[];
}

/** `policy check|show`, `audit verify`, `status`. */
export function addSystemCommands(program: Command, context: CliContext): void {
  const policy = program.command('policy').description('policy as code');
  policy
    .command('check [folder]')
    .description('checks policy files on this machine; needs no server')
    .action(async (folder: string | undefined) => {
      const result = compilePolicy(
        await filesIn(folder ?? context.config.policyDir, folder === undefined ? context.policyOverlay : undefined),
        {
          connectors: connectorChecks(createShippedRegistry()),
        },
      );
      const problems = result.ok ? [] : result.problems;
      if (!result.ok) context.exitCode = EXIT.failure;
      context.show({ ok: result.ok, problems }, () =>
        result.ok
          ? `The policy is right: ${result.policy.applications.length} applications, ${result.policy.roles.length} roles.`
          : problems
              .map((one) => {
                const expression = one.expression === undefined ? '' : `\n    ${one.expression}`;
                return `${one.file}:${one.line} ${one.path}: ${one.message}${expression}\n    expected: ${one.expected}`;
              })
              .join('\n'),
      );
    });
  policy
    .command('show')
    .description('the policy in force at the server')
    .action(async () => {
      const view = await context.api.get<PolicyView>('/v1/policy');
      context.show(view, () => renderPolicy(view));
    });
  program
    .command('audit')
    .description('audit records')
    .command('verify')
    .description('reads every chain; names each changed, removed, reordered or cut-off record')
    .action(async () => {
      const found = await context.api.get<Verification>('/v1/audit/verification');
      if (found.problems.length > 0) context.exitCode = EXIT.failure;
      context.show(found, () =>
        found.problems.length === 0
          ? `${found.records} records in ${found.chains} chains: all as they were written.`
          : table(
              ['Identity', 'Record', 'Problem'],
              found.problems.map((one) => [one.identityId, one.seq, one.problem]),
            ),
      );
    });
  program
    .command('status')
    .description('how the server is and how much is going on')
    .action(async () => {
      const status = await context.api.get<Record<string, unknown>>('/v1/status');
      context.show(status, () =>
        fields(
          Object.entries(status).map(([name, value]) => [
            name,
            typeof value === 'object' && value !== null
              ? Object.entries(value)
                  .map(([key, count]) => `${key} ${String(count)}`)
                  .join(', ')
              : String(value),
          ]),
        ),
      );
    });
}

async function filesIn(folder: string, overlay: string | undefined): Promise<PolicyFiles> {
  try {
    return await loadPolicyFiles(folder, overlay);
  } catch {
    throw new CliError(EXIT.usage, `${folder} cannot be read as a policy folder.`);
  }
}

function renderPolicy(view: PolicyView): string {
  const grants = (role: PolicyView['roles'][number]): string =>
    role.grants
      .map(
        (grant) =>
          [grant.application, grant.entitlement].filter(Boolean).join('/') + (grant.sensitive ? ' (approval)' : ''),
      )
      .join('\n');
  return [
    `Version ${view.version}, ${view.hash}`,
    '',
    table(
      ['Application', 'Name', 'Mode'],
      view.applications.map((one) => [one.slug, one.name, one.mode]),
    ),
    '',
    table(
      ['Role', 'When', 'Grants'],
      view.roles.map((one) => [one.slug, one.when ?? 'assigned only', grants(one)]),
    ),
  ].join('\n');
}
