import { readFileSync } from 'node:fs';
import type { Capabilities } from '../../../src/connectors/connector.js';

/** The committed capabilities of a connector kind, by variant of its configuration. */
export function committedCapabilities(kind: string, variant: string): Capabilities {
  const file = new URL(`../../../src/connectors/${kind}/capabilities.json`, import.meta.url);
  const variants = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Capabilities>;
  const found = variants[variant];
  if (found === undefined) {
    throw new Error(`${kind}/capabilities.json has no variant ${variant}`);
  }
  return found;
}
