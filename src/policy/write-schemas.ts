import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { POLICY_FILE_KINDS, policyJsonSchema } from '../domain/policy/schemas.js';

/** Writes the JSON Schemas of all policy files into `directory` (`application.json`, `role.json`, `lifecycle.json`). The same text each time. */
export async function writePolicySchemas(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const kind of POLICY_FILE_KINDS) {
    await writeFile(join(directory, `${kind}.json`), `${JSON.stringify(policyJsonSchema(kind), null, 2)}\n`);
  }
}
