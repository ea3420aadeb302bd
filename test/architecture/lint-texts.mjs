/** Lints texts as if they were files of the project: reads [{ path, text }] from stdin, prints [{ path, messages }]. */
import { ESLint } from 'eslint';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tseslint from 'typescript-eslint';

const cwd = join(import.meta.dirname, '..', '..');
const eslint = new ESLint({
  cwd,
  // The planted files do not exist, so there are no types for them; the boundaries need none.
  overrideConfig: [{ files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked }],
});
const results = [];
for (const { path, text } of JSON.parse(readFileSync(0, 'utf8'))) {
  const [result] = await eslint.lintText(text, { filePath: join(cwd, path) });
  results.push({ path, messages: (result?.messages ?? []).map(({ ruleId, message }) => ({ ruleId, message })) });
}
process.stdout.write(JSON.stringify(results));
