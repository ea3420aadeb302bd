import { join } from 'node:path';
import type { RunningChild } from '../keeper.js';
import { startDaemon } from './daemon.js';

export interface KeycloakServerOptions {
  readonly home: string;
  readonly port: number;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const opened = ['java.util', 'java.util.concurrent', 'java.security', 'java.lang'];

/** What Java is given to be Keycloak; `jvm` are more options of the machine. */
export function keycloakArguments(home: string, port: number, jvm: readonly string[] = []): readonly string[] {
  return [
    ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xms64m', '-Xmx384m', ...jvm],
    ...['-Dfile.encoding=UTF-8', '-Duser.language=en', '-Duser.country=US', '-Djava.net.preferIPv4Stack=true'],
    ...opened.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
    '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
    '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory',
    `-Dkc.home.dir=${home}`,
    `-Djboss.server.config.dir=${join(home, 'conf')}`,
    ...['-cp', join(home, 'lib', 'quarkus-run.jar'), 'io.quarkus.bootstrap.runner.QuarkusEntryPoint'],
    // `local`: no cluster, so nothing listens beyond loopback.
    ...['start', '--optimized', '--cache=local', '--http-enabled=true'],
    // A name of its own, so that tokens and SCIM's audience hold through a proxy as well.
    `--hostname=http://127.0.0.1:${port}`,
    ...['--http-host=127.0.0.1', `--http-port=${port}`],
  ];
}

/** Java itself, not `kc.sh`: the script would be the process we know, and Java would outlive it. Loopback only. */
export function startKeycloakServer(options: KeycloakServerOptions): Promise<RunningChild> {
  const { home, port, logFile, env, signal } = options;
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/realms/master`).then(
      (response) => response.ok,
      () => false,
    );
  return startDaemon({
    command: 'java',
    args: keycloakArguments(home, port),
    logFile,
    isReady,
    readyWithinMs: 240_000,
    signal,
    ...(env === undefined ? {} : { env }),
  });
}
