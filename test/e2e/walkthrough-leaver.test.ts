import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unverifiedReport } from '../../src/report/signature.js';
import { ensureBuild } from '../support/build.js';
import { Home } from './support/stack-process.js';
import { rewritten, shapeOf, stepsOf } from './support/walkthrough.js';
import type { DocumentedStep } from './support/walkthrough.js';

const document = fileURLToPath(new URL('../../docs/walkthrough-leaver.md', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const TIMEOUT_MS = 240_000;

describe('docs/walkthrough-leaver.md, command by command on the real stack', () => {
  const said = new Map<string, string>();
  let home: Home;
  let folder: string;
  let online: readonly DocumentedStep[];
  let offline: readonly DocumentedStep[];

  beforeAll(async () => {
    await ensureBuild();
    home = await Home.make();
    folder = await mkdtemp(join(tmpdir(), 'tenure-walkthrough-'));
    ({ online, offline } = stepsOf(await readFile(document, 'utf8')));
    const { bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { bin: { tenure: string } };
    // What npx would find, without asking a registry first.
    await mkdir(join(folder, 'bin'));
    const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, bin.tenure)}" "$@"\n`;
    await writeFile(join(folder, 'bin', 'npx'), npx, { mode: 0o755 });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await home?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  /** A line of the document, as a shell of somebody in an empty folder takes it; both streams, as a terminal shows them. */
  async function typed(command: string, tenureHome: string): Promise<string> {
    const path = [join(folder, 'bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
    const env = { PATH: path, TENURE_HOME: tenureHome };
    const child = spawn('sh', ['-c', command], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => (output += text));
    }
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`${command} ended with ${String(code)}:\n${output}`);
    said.set(command, output.trimEnd());
    return output;
  }

  it(
    'says what the document says, while the stack runs and after it has ended',
    async () => {
      const run = home.start();
      await run.says('Tenure is up');
      for (const { command } of online) await typed(command, home.folder);
      expect(await run.end('SIGINT')).toBe(0);
      const elsewhere = join(folder, 'no-stack-here');
      for (const { command } of offline) await typed(command, elsewhere);
      if (process.env['TENURE_TEST_WRITE_DOCS'] === '1')
        await writeFile(document, rewritten(await readFile(document, 'utf8'), said));
      else
        for (const { command, output } of [...online, ...offline])
          expect([command, shapeOf(said.get(command) ?? '')]).toEqual([command, shapeOf(output)]);
    },
    TIMEOUT_MS,
  );

  it('has shown what acceptance asks for: a cut, a signed report as file and page, and a changed byte that fails', async () => {
    const texts = [...said.values()].join('\n');
    expect(texts).toMatch(/^Signature +right: nothing was changed$/m);
    expect(texts).toMatch(/^NOT VALID\. .*\nExit code 1$/m);
    const report = unverifiedReport(await readFile(join(folder, 'report.jws'), 'utf8'));
    const page = await readFile(join(folder, 'report.html'), 'utf8');
    expect(report?.actions.length).toBeGreaterThan(5);
    for (const { application, operation, provenAt } of report?.actions ?? [])
      for (const text of [application, operation, provenAt ?? '']) expect(page).toContain(text);
    const [kept, changed] = await Promise.all(
      ['report.jws', 'changed.jws'].map((name) => readFile(join(folder, name))),
    );
    expect(kept?.filter((byte, index) => byte !== changed?.[index])).toHaveLength(1);
  });

  it('tells a document that says something else', () => {
    const [command, output] = [...said].find(([, text]) => text.includes('by-hand')) ?? ['', ''];
    expect(command).toContain('watch');
    expect(shapeOf(output.replaceAll('by-hand', 'proven '))).not.toBe(shapeOf(output));
    expect(shapeOf(output.replace(/^erp.*\n/gm, ''))).not.toBe(shapeOf(output));
  });
});
