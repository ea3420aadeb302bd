import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export type Config = Record<string, unknown>;

/** One of the YAML files of this folder, parsed anew. */
export function example(name: string): Config {
  return parse(readFileSync(new URL(`./${name}.yaml`, import.meta.url), 'utf8')) as Config;
}
