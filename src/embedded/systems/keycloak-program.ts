/** Keycloak's distribution: fetched by Maven, built once, with a database that holds the master realm and its administrator. */
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../processes.js';
import { startKeycloakServer } from './keycloak-server.js';
import { findProgram, outputOf, runProgram } from './programs.js';
import type { Found } from './system.js';

export const keycloakVersion = '26.7.3';
const oldestJava = 17;

/** Of a provisioned copy's master realm; whoever starts one that lasts gives it another password. */
export const firstAdministrator = { user: 'admin', password: 'only-until-the-first-start' } as const;

/** Whether Keycloak can be started here: Java, and the distribution or Maven to fetch it. Read only. */
export async function findKeycloak(cacheDir: string): Promise<Found> {
  const java = await findProgram('java');
  const version = java === undefined ? 0 : Number(/version "(\d+)/.exec(await outputOf(java, ['-version']))?.[1] ?? 0);
  if (version < oldestJava) {
    const what = java === undefined ? 'java is not on this machine' : `java ${version} is too old`;
    return {
      missing: `${what}: install Java ${oldestJava} or newer and Maven (apt-get install default-jre-headless maven)`,
    };
  }
  if (existsSync(homeIn(cacheDir)) || existsSync(archiveIn(cacheDir)) || (await findProgram('mvn')) !== undefined) {
    return { program: `Keycloak ${keycloakVersion}` };
  }
  return { missing: 'Maven, which fetches Keycloak, is not on this machine: install it with: apt-get install maven' };
}

/** A built Keycloak in the cache folder; made when it is not there, which takes a minute or two. Safe to run twice at once. */
export async function keycloakHome(
  cacheDir: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const home = homeIn(cacheDir);
  if (existsSync(home)) return home;
  await mkdir(cacheDir, { recursive: true });
  const archive = archiveIn(cacheDir);
  if (!existsSync(archive)) {
    say('Fetching Keycloak (once, about 176 MB; TENURE_SANDBOX=embedded does without) ...');
    await fetchArchive(cacheDir, archive, signal);
  }
  say('Building Keycloak (once, about a minute; TENURE_SANDBOX=embedded does without) ...');
  // Made under a name of its own and linked when it is whole: an interrupted start leaves nothing half-made behind.
  const fresh = `${home}.${process.pid}`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh);
  await runProgram('tar', ['xzf', archive, '-C', fresh, '--strip-components=1'], { signal, timeoutMs: 120_000 });
  const build = ['build', '--db=dev-file', '--features=scim-api', '--health-enabled=false', '--metrics-enabled=false'];
  await runProgram(join(fresh, 'bin', 'kc.sh'), build, { signal, timeoutMs: 240_000 });
  const server = await startKeycloakServer({
    home: fresh,
    port: await freePort(),
    logFile: join(fresh, 'provision.log'),
    env: {
      KC_BOOTSTRAP_ADMIN_USERNAME: firstAdministrator.user,
      KC_BOOTSTRAP_ADMIN_PASSWORD: firstAdministrator.password,
    },
    signal,
  });
  await server.stop();
  // A link whose folder somebody has tidied away is none.
  if (!existsSync(home)) await rm(home, { force: true });
  await symlink(fresh, home).catch((error: unknown) => {
    if (!existsSync(home)) throw error;
  });
  return home;
}

/** The program is shared, the database is a copy. `to` must not be there yet. */
export async function copyKeycloakHome(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of ['lib', 'conf', 'providers', 'themes']) await symlink(join(from, name), join(to, name));
  await cp(join(from, 'data'), join(to, 'data'), { recursive: true });
}

async function fetchArchive(cacheDir: string, archive: string, signal: AbortSignal): Promise<void> {
  const folder = join(cacheDir, `.keycloak.${process.pid}`);
  const artifact = `org.keycloak:keycloak-quarkus-dist:${keycloakVersion}:tar.gz`;
  const args = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`];
  await runProgram('mvn', args, { cwd: cacheDir, timeoutMs: 400_000, signal });
  await rename(join(folder, archiveName), archive);
  await rm(folder, { recursive: true, force: true });
}

const archiveName = `keycloak-quarkus-dist-${keycloakVersion}.tar.gz`;

function archiveIn(cacheDir: string): string {
  return join(cacheDir, archiveName);
}

function homeIn(cacheDir: string): string {
  return join(cacheDir, `keycloak-${keycloakVersion}-provisioned`);
}
