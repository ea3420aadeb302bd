import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import { brand } from '../../domain/process/ids.js';
import type { EmploymentId, IdentityId } from '../../domain/process/ids.js';

/** Blind indexes of HR's keys. MAINTENANCE: src/planning resolves managers by the same person index. */
export function personIndex(keys: KeyRing, source: string, person: string): Buffer {
  return keys.blindIndex(`person/${source}`, person);
}
export function employmentIndex(keys: KeyRing, source: string, employment: string): Buffer {
  return keys.blindIndex(`employment/${source}`, employment);
}

/** A person as the door finds them: known, or with ids that are made up now and written only when something is accepted. */
export interface DoorPerson {
  readonly identityId: IdentityId;
  readonly isNew: boolean;
  readonly isErased: boolean;
  readonly ledgerVersion: number;
}

/**
 * Finds the identity behind a person key and locks it until the transaction ends. An unknown one is locked by its key, so that two requests never make
 * two identities of one person.
 */
export async function lockPerson(trx: Queryable, index: Buffer, source: string): Promise<DoorPerson> {
  await sql`select pg_advisory_xact_lock(${index.readBigInt64BE(0).toString()}::bigint)`.execute(trx);
  const row = await trx
    .selectFrom('person_key')
    .innerJoin('identity', 'identity.identity_id', 'person_key.identity_id')
    .leftJoin('identity_key', 'identity_key.identity_id', 'person_key.identity_id')
    .select(['identity.identity_id', 'identity.ledger_version', 'identity_key.destroyed_at'])
    .where('person_key.source', '=', source)
    .where('person_key.key_index', '=', index)
    .forNoKeyUpdate('identity')
    .executeTakeFirst();
  if (row === undefined)
    return { identityId: brand<IdentityId>(randomUUID()), isNew: true, isErased: false, ledgerVersion: 0 };
  return {
    identityId: row.identity_id,
    isNew: false,
    isErased: row.destroyed_at !== null,
    ledgerVersion: row.ledger_version,
  };
}

/** Locks a person by id; undefined when there is none: a service account is nobody. */
export async function lockIdentity(trx: Queryable, identityId: IdentityId): Promise<DoorPerson | undefined> {
  const row = await trx
    .selectFrom('identity')
    .leftJoin('identity_key', 'identity_key.identity_id', 'identity.identity_id')
    .select(['identity.ledger_version', 'identity_key.destroyed_at'])
    .where('identity.identity_id', '=', identityId)
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom('service_account').select('identity_id').where('identity_id', '=', identityId))),
    )
    .forNoKeyUpdate('identity')
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { identityId, isNew: false, isErased: row.destroyed_at !== null, ledgerVersion: row.ledger_version };
}

/** Writes a new person: identity, data key, and the source's key. */
export async function createPerson(
  trx: Queryable,
  keys: KeyRing,
  person: { readonly identityId: IdentityId; readonly source: string; readonly index: Buffer },
): Promise<void> {
  await trx.insertInto('identity').values({ identity_id: person.identityId, next_due_at: null }).execute();
  await keys.ensureKey(trx, person.identityId);
  await trx
    .insertInto('person_key')
    .values({ source: person.source, key_index: person.index, identity_id: person.identityId })
    .execute();
}

/** Employments of one transaction: found by key, made up when unknown, written when first used. */
export class Employments {
  readonly #found = new Map<string, { readonly id: EmploymentId; readonly owner: IdentityId; isStored: boolean }>();

  constructor(
    private readonly trx: Queryable,
    private readonly keys: KeyRing,
    private readonly identityId: IdentityId,
  ) {}

  /** The employment of a key; undefined when it belongs to another person. */
  async of(source: string, employment: string): Promise<EmploymentId | undefined> {
    const index = employmentIndex(this.keys, source, employment);
    const known = this.#found.get(keyOf(source, index)) ?? (await this.#load(source, index));
    return known.owner === this.identityId ? known.id : undefined;
  }

  async #load(source: string, index: Buffer) {
    const row = await this.trx
      .selectFrom('employment')
      .select(['employment_id', 'identity_id'])
      .where('source', '=', source)
      .where('key_index', '=', index)
      .executeTakeFirst();
    const entry = {
      id: row?.employment_id ?? brand<EmploymentId>(randomUUID()),
      owner: row?.identity_id ?? this.identityId,
      isStored: row !== undefined,
    };
    this.#found.set(keyOf(source, index), entry);
    return entry;
  }

  /** Writes the employment if that has not been done. */
  async store(source: string, employment: string): Promise<void> {
    const index = employmentIndex(this.keys, source, employment);
    const entry = this.#found.get(keyOf(source, index)) ?? (await this.#load(source, index));
    if (entry.isStored) return;
    await this.trx
      .insertInto('employment')
      .values({ employment_id: entry.id, identity_id: this.identityId, source, key_index: index })
      .execute();
    entry.isStored = true;
  }
}

function keyOf(source: string, index: Buffer): string {
  return `${source}/${index.toString('hex')}`;
}
