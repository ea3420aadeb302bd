import type { PolicyFiles } from '../../src/domain/policy/types.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { processOf } from './skipping.js';

/** Nobody decides here, and the badge office is closed: both would only hold up time. */
export function withoutHands(files: PolicyFiles): PolicyFiles {
  return files.map((file) => ({
    ...file,
    text: file.text.replace(', sensitive: true', '').replace('  - { application: badge }\n', ''),
  }));
}

/** Somebody of Finance whose joiner is through. */
export async function joined(world: World, person: string): Promise<IdentityId> {
  const record = hire(world, person, { attributes: { department: 'Finance' } });
  const id = identityOf(await world.hr(record));
  await processOf(world, id, 'joiner', (row) => row.state === 'completed');
  return id;
}

/** HR says that somebody's employment ends. */
export function leaves(world: World, person: string, how: Readonly<Record<string, unknown>>) {
  return world.hr({ source: 'hr', eventId: `${person}-end`, person, employment: `${person}-1`, kind: 'end', ...how });
}
