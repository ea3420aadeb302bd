import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { z } from 'zod';
import { readSecret } from '../config.js';
import type { Config } from '../config.js';
import { newSigningKey, publicKeyOf } from '../report/signature.js';
import type { PublicKeys } from '../report/signature.js';
import { apiEnvironment, targetsEnvironment, workerEnvironment } from './child-environment.js';
import { openDatabase } from './databases.js';
import type { DatabaseUrls } from './databases.js';
import { StackError } from './errors.js';
import {
  clearHome,
  databaseFolder,
  systemsFolder,
  keepSecret,
  openHome,
  randomKey,
  readJson,
  writeJson,
} from './home.js';
import type { HomeLock } from './home.js';
import { Keeper } from './keeper.js';
import type { RunningChild } from './keeper.js';
import type { NodeChild } from './node-child.js';
import { startNodeChild } from './node-child.js';
import { databaseOsUser } from './os-user.js';
import type { OsUser } from './os-user.js';
import { choosePorts } from './ports.js';
import type { Ports } from './ports.js';
import { installPostgres } from './postgres-binaries.js';
import { startPostgres, stopPostgresSurvivor } from './postgres.js';
import type { RunningPostgres } from './postgres.js';
import { markProcess, stopProcess } from './processes.js';
import type { RunInfo } from './run-info.js';
import { searchAttributes } from './search-attributes.js';
import { describeSystems, startSandboxSystems, stopSystemSurvivors } from './systems/sandbox-systems.js';
import type { SystemInfo } from './systems/sandbox-systems.js';
import { findTemporalCli } from './temporal-cli.js';
import { ensureNamespace, startTemporal, stopTemporalSurvivor, temporalFailure } from './temporal.js';

const childrenSchema = z.record(z.string(), z.object({ pid: z.number(), startedAt: z.string() }));

export type { RunInfo } from './run-info.js';

export interface StackOptions {
  readonly config: Config;
  readonly fresh: boolean;
  /** Compiled entry files of the Node children. */
  readonly entries: Readonly<Record<'api' | 'worker' | 'targets', string>>;
  readonly say: (line: string) => void;
  /** Aborted when the person wants to stop; heard between the steps of starting. */
  readonly signal: AbortSignal;
}

export interface Stack {
  readonly run: RunInfo;
  /** Stops everything in order: nothing that writes is left when the databases go. Safe to repeat. */
  stop(): Promise<void>;
  /** Ends API, worker and targets at once, for a person who does not want to wait for stop(). */
  hurry(): void;
}

/**
 * Starts the whole stack and resolves when everything can be used; then keeps every child running until stop().
 * Survivors of a supervisor that died are stopped first. Leaves nothing behind when it rejects.
 * @throws StackError with what the person can do.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const user = await databaseOsUser();
  const lock = await openHome(options.config.home, user);
  const supervisor = new Supervisor(options, user, lock);
  try {
    return { run: await supervisor.start(), stop: () => supervisor.stop(), hurry: () => supervisor.hurry() };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

class Supervisor {
  readonly #options: StackOptions;
  readonly #config: Config;
  readonly #user: OsUser | undefined;
  readonly #lock: HomeLock;
  /** In the order they were started; stopped the other way round. */
  readonly #keepers: Keeper<RunningChild>[] = [];
  #isStopping: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Ends the starting of systems that nobody waits for any longer. */
  readonly #givingUp = new AbortController();
  #systems: Promise<readonly SystemInfo[]> = Promise.resolve([]);

  constructor(options: StackOptions, user: OsUser | undefined, lock: HomeLock) {
    this.#options = options;
    this.#config = options.config;
    this.#user = user;
    this.#lock = lock;
  }

  async start(): Promise<RunInfo> {
    const folder = this.#config.database.mode === 'embedded' ? await databaseFolder(this.#config.home, this.#user) : '';
    const systems = await systemsFolder(this.#config.home, this.#user);
    await this.#stopSurvivors(folder, systems);
    if (this.#options.fresh) await clearHome(this.#config.home, [folder, systems]);
    if (this.#options.fresh && this.#config.database.mode === 'brought') {
      this.#options.say('--fresh: the database in TENURE_DATABASE_URL was brought and is left as it is.');
    }
    const ports = await choosePorts(this.#config);
    await this.#keepMasterKey();
    const reportKeys = await this.#keepReportKey();
    const token = await keepSecret(join(this.#config.home, 'sandbox-token'), () =>
      randomBytes(24).toString('base64url'),
    );
    this.#options.signal.throwIfAborted();
    // Beside the rest, because Keycloak takes longer than all of it; awaited before the worker, whose policy names them.
    this.#systems = this.#startSystems(systems, ports);
    this.#systems.catch(() => undefined);
    const postgres = await this.#postgres(folder, ports);
    const urls = await openDatabase(this.#config, postgres?.adminUrl);
    this.#options.signal.throwIfAborted();
    const temporalAddress = await this.#temporal(ports);
    this.#options.signal.throwIfAborted();
    const sandbox = await this.#nodeChildren({ ports, urls, token, temporalAddress, adminUrl: postgres?.adminUrl });
    return this.#publish({ ports, urls, token, temporalAddress, sandbox, reportKeys });
  }

  stop(): Promise<void> {
    this.#isStopping ??= this.#stopAll();
    return this.#isStopping;
  }

  hurry(): void {
    for (const keeper of this.#keepers) keeper.kill();
  }

  async #stopAll(): Promise<void> {
    await this.#lock.announceStop().catch(() => undefined);
    this.#givingUp.abort(new Error('the stack is stopped'));
    await this.#systems.catch(() => undefined);
    for (const keeper of this.#keepers.toReversed()) await keeper.stop();
    await this.#writing;
    await rm(join(this.#config.home, 'run.json'), { force: true });
    await this.#lock.release();
  }

  /** API, worker and targets end by themselves when their supervisor dies; the databases do not. */
  async #stopSurvivors(folder: string, systems: string): Promise<void> {
    const known = (await readJson(join(this.#config.home, 'children.json'), childrenSchema)) ?? {};
    const nodes = ['api', 'worker', 'targets'].flatMap((name) => known[name] ?? []);
    await Promise.all(nodes.map((mark) => stopProcess(mark)));
    if (folder !== '') await stopPostgresSurvivor(folder);
    await stopTemporalSurvivor(this.#temporalFile());
    await stopSystemSurvivors(systems);
    await rm(join(this.#config.home, 'run.json'), { force: true });
  }

  #startSystems(folder: string, ports: Ports): Promise<readonly SystemInfo[]> {
    return startSandboxSystems({
      config: this.#config,
      folder,
      ports,
      user: this.#user,
      say: this.#options.say,
      keep: (title, name, start) => this.#keep(title, name, start),
      signal: AbortSignal.any([this.#options.signal, this.#givingUp.signal]),
    });
  }

  async #postgres(folder: string, ports: Ports): Promise<RunningPostgres | undefined> {
    if (this.#config.database.mode === 'brought') return undefined;
    const candidates = [this.#config.cacheDir, '/var/cache/tenure', join(this.#config.home, 'cache')];
    const binaries = await installPostgres(candidates, this.#user);
    return this.#keep('Postgres', 'postgres', () =>
      startPostgres({
        binaries,
        folder,
        port: ports.postgres,
        logFile: this.#logFile('postgres'),
        user: this.#user,
        durable: true,
      }),
    );
  }

  async #temporal(ports: Ports): Promise<string> {
    const address = this.#config.temporal.connection.address;
    if (this.#config.temporal.mode === 'brought') {
      await this.#openNamespace(address ?? 'localhost:7233');
      return address ?? 'localhost:7233';
    }
    const program = await findTemporalCli({
      ...this.#config.temporal.embedded,
      cacheDirs: [this.#config.cacheDir, join(this.#config.home, 'cache')],
      onDownload: () => this.#options.say('Fetching the Temporal server (once, about 45 MB) ...'),
    });
    const server = await this.#keep('Temporal', 'temporal', () =>
      startTemporal({
        program,
        port: ports.temporal,
        uiPort: ports.temporalUi,
        logFile: this.#logFile('temporal'),
        databaseFile: this.#temporalFile(),
      }),
    );
    await this.#openNamespace(server.address);
    return server.address;
  }

  async #openNamespace(address: string): Promise<void> {
    let connection: Connection | undefined;
    try {
      connection = await Connection.connect({ ...this.#config.temporal.connection, address });
      await ensureNamespace(connection, this.#config.temporal.namespace, searchAttributes);
    } catch (error) {
      throw new StackError(
        `Temporal at ${address} could not be set up: ${temporalFailure(error)}.`,
        'Check TEMPORAL_ADDRESS and the other TEMPORAL_* variables; the user needs the right to make namespaces and search attributes.',
        { cause: error },
      );
    } finally {
      await connection?.close();
    }
  }

  async #nodeChildren(input: {
    readonly ports: Ports;
    readonly urls: DatabaseUrls;
    readonly token: string;
    readonly temporalAddress: string;
    readonly adminUrl: string | undefined;
  }): Promise<RunInfo['sandbox']> {
    const facts = { config: this.#config, ...input };
    const targets = await this.#node('Sandbox targets', 'targets', targetsEnvironment(facts));
    this.#options.signal.throwIfAborted();
    await this.#node('API', 'api', { ...apiEnvironment(facts), ...targets.ready.env });
    this.#options.signal.throwIfAborted();
    const systems = await this.#systems;
    await this.#node('Worker', 'worker', { ...workerEnvironment(facts), ...targets.ready.env });
    this.#options.say(['The sample company’s systems:', ...describeSystems(systems)].join('\n'));
    const { env } = targets.ready;
    return {
      directoryUrl: env['TENURE_SANDBOX_SCIM_URL'] ?? '',
      wikiUrl: env['TENURE_SANDBOX_WIKI_URL'] ?? '',
      scimToken: env['TENURE_SANDBOX_SCIM_TOKEN'] ?? '',
      erpUrl: env['TENURE_SANDBOX_ERP_URL'] ?? '',
      systems,
    };
  }

  #node(
    title: string,
    name: 'api' | 'worker' | 'targets',
    env: Readonly<Record<string, string | undefined>>,
  ): Promise<NodeChild> {
    const entry = this.#options.entries[name];
    return this.#keep(title, name, () => startNodeChild({ name: title, entry, env, logFile: this.#logFile(name) }));
  }

  async #keep<Child extends RunningChild>(title: string, name: string, start: () => Promise<Child>): Promise<Child> {
    const since = performance.now();
    const onChange = () => this.#writeMarks();
    const keeper = new Keeper<Child>({ title, name, start, say: this.#options.say, onChange });
    this.#keepers.push(keeper);
    const child = await keeper.start();
    this.#options.say(`${title} ready (${((performance.now() - since) / 1000).toFixed(1)} s).`);
    return child;
  }

  /** One write after the other: each takes the marks as they are when its turn comes. */
  #writeMarks(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const marks = this.#keepers.flatMap(({ name, current }) => (current === undefined ? [] : [[name, current.mark]]));
      // A full disk must not end the keeping; the survivors of such a run are found by their command lines.
      await writeJson(join(this.#config.home, 'children.json'), Object.fromEntries(marks)).catch(() => undefined);
    });
    return this.#writing;
  }

  async #keepMasterKey(): Promise<void> {
    const reference = this.#config.masterKey;
    const file = join(this.#config.home, 'master.key');
    if (reference.kind === 'file' && reference.path === file) await keepSecret(file, randomKey);
  }

  /** Made at the first start; whoever names a key of their own keeps it themselves. */
  async #keepReportKey(): Promise<PublicKeys> {
    const { reference, isDefault } = this.#config.reportKey;
    if (isDefault && reference.kind === 'file') await keepSecret(reference.path, newSigningKey);
    return { keys: [await publicKeyOf(readSecret(reference))] };
  }

  async #publish(facts: {
    readonly ports: Ports;
    readonly urls: DatabaseUrls;
    readonly token: string;
    readonly temporalAddress: string;
    readonly sandbox: RunInfo['sandbox'];
    readonly reportKeys: PublicKeys;
  }): Promise<RunInfo> {
    const { ports, urls, token, temporalAddress, sandbox, reportKeys } = facts;
    const api = `http://${this.#config.api.host}:${ports.api}`;
    const isBrought = this.#config.temporal.mode === 'brought';
    const run: RunInfo = {
      api,
      docs: `${api}/docs`,
      ...(isBrought ? {} : { temporalUi: `http://127.0.0.1:${ports.temporalUi}` }),
      temporalAddress,
      temporalNamespace: this.#config.temporal.namespace,
      postgresUrl: urls.owner,
      token,
      sandbox,
      reportKeys,
    };
    const supervisor = await markProcess(process.pid);
    await writeJson(join(this.#config.home, 'run.json'), { ...run, supervisor });
    return run;
  }

  #logFile(name: string): string {
    return join(this.#config.home, 'logs', `${name}.log`);
  }

  #temporalFile(): string {
    return join(this.#config.home, 'temporal.db');
  }
}
