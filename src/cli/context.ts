import { join } from 'node:path';
import type { Config } from '../config.js';
import { ApiClient, findTarget } from './client.js';
import { CliError, EXIT } from './exit.js';
import type { ExitCode } from './exit.js';
import type { Terminal } from './output.js';

export interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** What every command works with. `exitCode` is what the process ends with when nothing was thrown. */
export class CliContext {
  exitCode: ExitCode = EXIT.ok;
  constructor(
    readonly config: Config,
    readonly terminal: Terminal,
    readonly options: () => GlobalOptions,
    /** Where `env:` references of files that are tested here are looked up. */
    readonly variables: Readonly<Record<string, string | undefined>>,
  ) {}

  /** What the stack of this home lays over the policy, see npm start. */
  get policyOverlay(): string {
    return this.config.policyOverlay ?? join(this.config.home, 'policy');
  }

  /** The server; looked up when first needed, so that offline commands need none. */
  get api(): ApiClient {
    return new ApiClient(findTarget(this.config, this.options()));
  }

  /** Shows a result: as JSON when asked to, else as the text that `render` makes. */
  show(result: unknown, render: () => string): void {
    this.terminal.out(this.options().json === true ? JSON.stringify(result, undefined, 2) : render());
  }
}

interface Listed {
  readonly identityId: string;
  readonly displayName: string;
  readonly userName: string | null;
  readonly mail: string | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a word of a command line is one of our own ids. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** The id of a person given by id, user name, mail address, employee number or name. Several that fit are listed, none is guessed. */
export async function findPerson(context: CliContext, who: string): Promise<string> {
  if (isId(who)) return who;
  const { items } = await context.api.get<{ items: Listed[] }>(
    `/v1/identities?limit=20&query=${encodeURIComponent(who)}`,
  );
  const wanted = who.toLowerCase();
  const exact = items.filter((one) =>
    [one.userName, one.mail, one.displayName].some((text) => text?.toLowerCase() === wanted),
  );
  const found = exact.length > 0 ? exact : items;
  const [first, ...others] = found;
  if (first === undefined) throw new CliError(EXIT.notFound, `Nobody is found by "${who}".`);
  if (others.length === 0) return first.identityId;
  const list = found.map((one) => `  ${one.identityId}  ${one.displayName}  ${one.userName ?? ''}`);
  throw new CliError(EXIT.usage, [`Several people fit "${who}"; name one by id:`, ...list].join('\n'));
}
