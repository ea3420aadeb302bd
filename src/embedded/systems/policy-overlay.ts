import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A folder below policy/sandbox and what its `${NAME}`s stand for. */
export interface Overlay {
  readonly name: string;
  readonly values: Readonly<Record<string, string | number>>;
}

/** Whether the policy knows what to do with such a system. */
export async function hasOverlay(policyDir: string, name: string): Promise<boolean> {
  return (await stat(join(policyDir, 'sandbox', name)).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * Writes the applications and roles of the systems that run into `folder`, which the worker lays over the policy: a file there takes the place of the one
 * of the same path. What an earlier start wrote goes first.
 */
export async function writeOverlays(policyDir: string, folder: string, overlays: readonly Overlay[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { name, values } of overlays) {
    const source = join(policyDir, 'sandbox', name);
    for (const path of await readdir(source, { recursive: true })) {
      if (!/\.yaml$/.test(path)) continue;
      const target = join(folder, path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      const text = filledIn(await readFile(join(source, path), 'utf8'), values);
      await writeFile(target, `# Written by npm start from policy/sandbox/${name}: change it there.\n${text}`, {
        mode: 0o600,
      });
    }
  }
}

/** Each `'${NAME}'`, quoted so that the template is YAML itself, becomes its value as a YAML scalar. Throws for a name that has none. Pure. */
export function filledIn(text: string, values: Overlay['values']): string {
  return text.replace(/'\$\{([A-Z_]+)\}'/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`policy/sandbox asks for ${name}, which no system gives`);
    return JSON.stringify(value);
  });
}
