import type { RunningChild } from '../keeper.js';
import type { OsUser } from '../os-user.js';

/** The sample company's systems that may be real ones; the names are the applications' slugs. */
export const systemSlugs = ['directory', 'sso', 'payroll'] as const;
export type SystemSlug = (typeof systemSlugs)[number];

/** What a system is given to live with. */
export interface SystemContext {
  /** A folder of its own; `user` can reach it. */
  readonly folder: string;
  /** Where programs that were fetched are kept. */
  readonly cacheDir: string;
  /** Fixed for the home, so that addresses stay what they were. */
  readonly port: number;
  readonly logFile: string;
  /** Whom daemons run as when we are root; undefined: ourselves. */
  readonly user: OsUser | undefined;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Whether a program can be had here: its name and version, or a sentence that says why not and what would help. */
export type Found = { readonly program: string } | { readonly missing: string };

/** What the sample's policy and a curious person need to know of a system that runs. */
export interface SystemFacts {
  /** For `${NAME}` in the templates below policy/sandbox; references to secrets, never the secrets. */
  readonly values: Readonly<Record<string, string | number>>;
  /** For run.json, for looking at the system past Tenure; with secrets. */
  readonly access: Readonly<Record<string, string>>;
}

/** A real product that the sandbox starts, keeps and ends. */
export interface RealSystem {
  readonly slug: SystemSlug;
  /** Folder below policy/sandbox that is laid over the policy when this system runs. */
  readonly overlay: string;
  /** Read only; looks for programs, fetches nothing. */
  find(cacheDir: string): Promise<Found>;
  /** Makes, once, what it keeps in its folder. Safe to repeat, also after an interruption. */
  prepare(context: SystemContext): Promise<void>;
  /** Starts it and resolves when it can be used; called again after each death. */
  start(context: SystemContext): Promise<RunningChild>;
  /** After the start: what can only be made while it runs. Safe to repeat. */
  fill?(context: SystemContext): Promise<void>;
  facts(context: SystemContext): Promise<SystemFacts>;
}
