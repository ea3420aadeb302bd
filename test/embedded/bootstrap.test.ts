import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const fakeNpm = join(root, 'test', 'embedded', 'fixtures', 'fake-npm.js');
const install = join(root, 'scripts', 'lib', 'install.mjs');
const alone = join(root, 'scripts', 'lib', 'alone.mjs');
const nodeModule = join(root, 'scripts', 'lib', 'node.mjs');

describe('the bootstrap', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tenure-bootstrap-'));
    lock({ a: '1.0.0', b: '2.0.0' });
    npm('well');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('installs once, and then only when the lock has changed', async () => {
    expect(await ensureInstalled()).toBe('');
    expect(calls()).toEqual(['ci --ignore-scripts --no-audit --no-fund --loglevel=error']);
    await ensureInstalled();
    expect(calls()).toHaveLength(1);
    lock({ a: '1.0.1', b: '2.0.0' });
    await ensureInstalled();
    expect(calls()).toHaveLength(2);
  });

  it('repairs an interrupted install', async () => {
    npm('interrupted');
    expect(await ensureInstalled()).toMatch(/could not be installed/);
    expect(existsSync(join(folder, 'node_modules', 'a'))).toBe(true);
    npm('well');
    expect(await ensureInstalled()).toBe('');
    expect(existsSync(join(folder, 'node_modules', 'b'))).toBe(true);
  });

  it('takes an install made by hand for what it is', async () => {
    await ensureInstalled();
    rmSync(join(folder, 'node_modules', '.tenure-installed'));
    await ensureInstalled();
    expect(calls()).toHaveLength(1);
    rmSync(join(folder, 'node_modules', '.tenure-installed'));
    rmSync(join(folder, 'node_modules', 'b'), { recursive: true });
    await ensureInstalled();
    expect(calls()).toHaveLength(2);
  });

  it('lets a second command wait while one installs, and takes the lock of a dead one', async () => {
    npm('slowly');
    expect(await Promise.all([ensureInstalled(), ensureInstalled(), ensureInstalled()])).toEqual(['', '', '']);
    expect(calls()).toHaveLength(1);
    lock({ a: '1.0.1', b: '2.0.0' });
    writeFileSync(join(folder, '.tenure-installing'), '999999999');
    expect(await ensureInstalled()).toBe('');
    expect(calls()).toHaveLength(2);
    expect(existsSync(join(folder, '.tenure-installing'))).toBe(false);
  });

  it('never works under a lock that another process holds', async () => {
    const work = `import(${JSON.stringify(alone)}).then((m) => m.alone('lock', 'works', async () => {
      const { appendFileSync } = process.getBuiltinModule('node:fs');
      appendFileSync('work', 'begin ');
      await new Promise((resolve) => setTimeout(resolve, 50));
      appendFileSync('work', 'end ');
    }))`;
    const env = { ...process.env, NODE_OPTIONS: '' };
    await Promise.all([1, 2, 3, 4].map(() => run(process.execPath, ['-e', work], { cwd: folder, env })));
    expect(readFileSync(join(folder, 'work'), 'utf8')).toBe('begin end '.repeat(4));
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  it('says what to do when the disk is full or the copy is incomplete', async () => {
    npm('no space');
    expect(await ensureInstalled()).toMatch(/^There is no space left on the disk for the packages\. Free about/);
    rmSync(join(folder, 'package-lock.json'));
    expect(await ensureInstalled()).toMatch(/package-lock\.json is missing/);
  });

  it('refuses a Node that is too old', async () => {
    const code = `import(${JSON.stringify(nodeModule)}).then((m) => m.requireBootstrapNode('18.20.4')).catch((e) => console.log(e.message))`;
    const { stdout } = await run(process.execPath, ['-e', code], { env: { ...process.env, NODE_OPTIONS: '' } });
    expect(stdout).toMatch(/^Tenure needs Node 20 or newer to begin with, and this is 18\.20\.4\. Install Node 24/);
  });

  /** '' or the message of the refusal. */
  async function ensureInstalled(): Promise<string> {
    const code = `import(${JSON.stringify(install)}).then((m) => m.ensureInstalled(process.cwd())).catch((e) => process.stdout.write(e.message))`;
    const env = { ...process.env, NODE_OPTIONS: '', npm_execpath: fakeNpm };
    return (await run(process.execPath, ['-e', code], { cwd: folder, env })).stdout;
  }

  function lock(versions: Readonly<Record<string, string>>): void {
    const packages = Object.entries(versions).map(([name, version]) => [`node_modules/${name}`, { version }]);
    const text = JSON.stringify({ packages: { '': {}, ...Object.fromEntries(packages) } });
    writeFileSync(join(folder, 'package-lock.json'), text);
  }

  function npm(behaviour: 'well' | 'slowly' | 'interrupted' | 'no space'): void {
    writeFileSync(join(folder, 'npm-behaviour'), behaviour);
  }

  function calls(): readonly string[] {
    return readFileSync(join(folder, 'npm-calls'), 'utf8').trimEnd().split('\n');
  }
});

describe('package-lock.json', () => {
  it('has an entry for every optional package, which npm ci insists on even where a system does not use it', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
    };
    const missing = (all: typeof packages) =>
      Object.entries(all).flatMap(([path, entry]) =>
        Object.keys(entry.optionalDependencies ?? {}).filter(
          (name) => all[`node_modules/${name}`] === undefined && all[`${path}/node_modules/${name}`] === undefined,
        ),
      );
    expect(missing(packages)).toEqual([]);
    const planted = Object.fromEntries(Object.entries(packages).filter(([path]) => !path.endsWith('core-darwin-x64')));
    expect(missing(planted)).toEqual(['@swc/core-darwin-x64']);
  });
});
