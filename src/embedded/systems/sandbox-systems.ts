import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../config.js';
import { errorText, StackError } from '../errors.js';
import { policyOverlayFolder, readJson, writeJson } from '../home.js';
import type { RunningChild } from '../keeper.js';
import type { OsUser } from '../os-user.js';
import type { Ports } from '../ports.js';
import { findProcesses, stopProcess } from '../processes.js';
import { ensureDrop } from './payroll-drop.js';
import { hasOverlay, writeOverlays } from './policy-overlay.js';
import type { Overlay } from './policy-overlay.js';
import { keycloak } from './keycloak.js';
import { slapd } from './slapd.js';
import { sshd } from './sshd.js';
import { systemSlugs } from './system.js';
import type { RealSystem, SystemContext, SystemSlug } from './system.js';

const realSystems: readonly RealSystem[] = [slapd, keycloak, sshd];

/** What one of the sample company's systems is in this home. */
export interface SystemInfo {
  readonly slug: SystemSlug;
  /** absent: the application is left out of the policy. */
  readonly kind: 'real' | 'embedded' | 'absent';
  /** Name and version of the program, or what stands in for it. */
  readonly program: string;
  /** Why it is not a real one. */
  readonly reason?: string;
  /** For looking at it past Tenure; holds secrets. */
  readonly access: Readonly<Record<string, string>>;
}

/** What is chosen at a home's first start holds until --fresh: the accounts are there, and nowhere else. */
const choiceSchema = z.record(z.enum(systemSlugs), z.object({ isReal: z.boolean(), reason: z.string() }));
type Choice = z.infer<typeof choiceSchema>;

export interface SandboxSystemsOptions {
  readonly config: Config;
  readonly folder: string;
  readonly ports: Ports;
  readonly user: OsUser | undefined;
  readonly say: (line: string) => void;
  /** Starts a child and keeps it running. */
  readonly keep: (title: string, name: string, start: () => Promise<RunningChild>) => Promise<RunningChild>;
  readonly signal: AbortSignal;
}

/**
 * Starts the real systems of this machine that the policy knows, or what stands in for them, all at the same time, and writes the part of the policy that
 * depends on them. At a home's first start a system that cannot be had is replaced, with the reason; afterwards the choice stays.
 * @throws StackError when a system that this home lives on does not start any more
 */
export async function startSandboxSystems(options: SandboxSystemsOptions): Promise<readonly SystemInfo[]> {
  const { config } = options;
  const file = join(config.home, 'systems.json');
  const known = (await readJson(file, choiceSchema)) ?? (await choiceOfOldHome(config.home));
  const outcomes = await Promise.allSettled(systemSlugs.map((slug) => startOne(slug, options, known?.[slug])));
  const started = outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
  const overlays = started.flatMap(({ overlay }) => (overlay === undefined ? [] : [overlay]));
  await writeOverlays(config.policyDir, policyOverlayFolder(config.home), overlays);
  const chosen = started.map(({ info }) => [info.slug, { isReal: info.kind === 'real', reason: info.reason ?? '' }]);
  await writeJson(file, Object.fromEntries(chosen));
  return started.map(({ info }) => info);
}

/** Ends what a supervisor that died left running; never another program. Safe to repeat. */
export async function stopSystemSurvivors(folder: string): Promise<void> {
  const isOurs = (line: string): boolean =>
    /^(sshd: )?\S*(slapd|sshd|java) /.test(line) &&
    [`-F ${folder}/`, `-f ${folder}/`, `-Dkc.home.dir=${folder}/`].some((part) => line.includes(part));
  const survivors = await findProcesses(isOurs);
  await Promise.all(survivors.map((mark) => stopProcess(mark)));
}

interface Started {
  readonly info: SystemInfo;
  readonly overlay: Overlay | undefined;
}

/** A home from before there was a choice lives on the embedded systems. */
async function choiceOfOldHome(home: string): Promise<Choice | undefined> {
  if ((await stat(join(home, 'story.json')).catch(() => undefined)) === undefined) return undefined;
  const embedded = { isReal: false, reason: 'this folder was made before real systems could be used' };
  return { directory: embedded, sso: embedded, payroll: embedded };
}

async function startOne(
  slug: SystemSlug,
  options: SandboxSystemsOptions,
  known: Choice[SystemSlug] | undefined,
): Promise<Started> {
  const system = realSystems.find((one) => one.slug === slug);
  const context: SystemContext = {
    folder: join(options.folder, slug),
    cacheDir: options.config.cacheDir,
    port: options.ports[slug],
    logFile: join(options.config.home, 'logs', `${slug}.log`),
    user: options.user,
    say: options.say,
    signal: options.signal,
  };
  await mkdir(options.folder, { recursive: true, mode: 0o711 });
  const reason = await whyNot(system, options, known);
  if (system === undefined || reason !== undefined) {
    if (known?.isReal === true) throw livesOn(slug, reason ?? '');
    return standIn(slug, options, context, reason ?? 'none can be started here');
  }
  try {
    return await startReal(system, options, context);
  } catch (error) {
    options.signal.throwIfAborted();
    if (known?.isReal === true) throw livesOn(slug, errorText(error));
    return standIn(slug, options, context, `${system.overlay} did not start: ${errorText(error)}`);
  }
}

async function whyNot(
  system: RealSystem | undefined,
  { config }: SandboxSystemsOptions,
  known: Choice[SystemSlug] | undefined,
): Promise<string | undefined> {
  if (system === undefined) return undefined;
  if (config.sandbox.systems === 'embedded') return 'TENURE_SANDBOX=embedded';
  if (!(await hasOverlay(config.policyDir, system.overlay))) return `the policy has no sandbox/${system.overlay}`;
  if (known !== undefined && !known.isReal) {
    const was = known.reason.replace(/ \(as at the first start.*\)$/, '');
    return `${was} (as at the first start; --fresh looks again)`;
  }
  const found = await system.find(config.cacheDir);
  return 'missing' in found ? found.missing : undefined;
}

async function startReal(system: RealSystem, options: SandboxSystemsOptions, context: SystemContext): Promise<Started> {
  const found = await system.find(context.cacheDir);
  const program = 'program' in found ? found.program : system.overlay;
  await system.prepare(context);
  await options.keep(program, system.slug, () => system.start(context));
  await system.fill?.(context);
  const { values, access } = await system.facts(context);
  return { info: { slug: system.slug, kind: 'real', program, access }, overlay: { name: system.overlay, values } };
}

async function standIn(
  slug: SystemSlug,
  { config }: SandboxSystemsOptions,
  context: SystemContext,
  reason: string,
): Promise<Started> {
  if (slug === 'directory') {
    return { info: { slug, kind: 'embedded', program: 'SCIM server', reason, access: {} }, overlay: undefined };
  }
  if (slug === 'sso' || !(await hasOverlay(config.policyDir, 'folder'))) {
    return { info: { slug, kind: 'absent', program: 'left out', reason, access: {} }, overlay: undefined };
  }
  // The worker itself writes there: nobody else has to reach it.
  const drop = await ensureDrop(context.folder, undefined);
  const overlay = { name: 'folder', values: { PAYROLL_FOLDER: drop } };
  return { info: { slug, kind: 'embedded', program: 'local folder', reason, access: { drop } }, overlay };
}

function livesOn(slug: SystemSlug, reason: string): StackError {
  return new StackError(
    `The sample company’s ${slug} lives on a real system here, which cannot be had now: ${reason}.`,
    'Mend that, or start over with npm start -- --fresh.',
  );
}

/** A line for each system: which one it is, and why when it is not a real one. Pure. */
export function describeSystems(systems: readonly SystemInfo[]): readonly string[] {
  return systems.map(({ slug, kind, program, reason }) => {
    const what = kind === 'real' ? `${program} (real)` : kind === 'embedded' ? `embedded ${program}` : program;
    return `  ${slug.padEnd(10)} ${what}${reason === undefined ? '' : `: ${reason}`}`;
  });
}
