import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { IdentityId } from '../domain/process/ids.js';
import { loadPerson } from './person.js';
import type { Person } from './person.js';

/** Somebody whose process is under way is asked for a few times within a second; nobody is kept for long. */
const KEPT_MS = 10_000;
const MOST_KEPT = 500;

interface Kept {
  readonly ledgerVersion: number;
  readonly readAt: number;
  readonly person: Promise<Person>;
}

/**
 * People as their ledgers have them, in clear. The steps of a process ask for the same person one after the other: what was read, decrypted and derived from one
 * version of a ledger is good for as long as the ledger is at that version, which the caller has just read from the identity's row.
 */
export class People {
  readonly #kept = new Map<IdentityId, Kept>();

  constructor(readonly keys: KeyRing) {}

  /** The person at that version of the ledger, or a newer one. */
  at(db: Queryable, identityId: IdentityId, ledgerVersion: number): Promise<Person> {
    const kept = this.#kept.get(identityId);
    if (kept?.ledgerVersion === ledgerVersion && performance.now() - kept.readAt < KEPT_MS) return kept.person;
    const person = loadPerson(db, this.keys, identityId);
    this.#kept.delete(identityId);
    this.#forgetOld();
    this.#kept.set(identityId, { ledgerVersion, readAt: performance.now(), person });
    person.catch(() => this.#kept.delete(identityId));
    return person;
  }

  /** Whoever is read goes to the end of the map, so the oldest are the first. */
  #forgetOld(): void {
    for (const [identityId, { readAt }] of this.#kept) {
      if (performance.now() - readAt < KEPT_MS && this.#kept.size < MOST_KEPT) return;
      this.#kept.delete(identityId);
    }
  }
}
