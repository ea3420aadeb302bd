import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import type { Attributes } from '../../connectors/connector.js';
import type { Queryable } from '../../db/database.js';
import type { CredentialHandoverTable } from '../../db/schema.js';
import type { AccountId, IdentityId, Instant, VisitId } from '../../domain/process/ids.js';
import { batched } from '../lib/batched.js';
import { writeEndings } from './record.js';
import type { Ending } from './record.js';
import type { AccountRow } from './rows.js';

/** A write that is about to be sent. */
export interface FencedWrite {
  readonly visitId: VisitId;
  readonly identityId: IdentityId;
  /** The generation that the visit was planned under; null passes every cut. */
  readonly generation: number | null;
  /** Nothing is left of what it acts on: it passes no legal hold. */
  readonly destroys: boolean;
  readonly at: Instant;
  readonly until: Instant;
}

/** An operation that is done, and what it changed in the account as last observed. */
export interface FinishedOperation {
  readonly visitId: VisitId;
  readonly operationKey: string;
  readonly at: Instant;
  readonly accountId: AccountId;
  readonly changes: AccountChange;
}

/** What is named is set; everything else of the account's row stays as somebody else may have left it. */
export type AccountChange = Partial<
  Pick<
    AccountRow,
    'native_id' | 'login' | 'status' | 'entitlements' | 'archived' | 'sealed' | 'closed_by_tenure' | 'observed_at'
  >
> & {
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly unlinked_at?: Instant;
  /** Forgets the secret. */
  readonly secret?: null;
};

/** An account that is the person's from now on. */
export type NewLink = Pick<
  AccountRow,
  | 'account_id'
  | 'identity_id'
  | 'application'
  | 'native_id'
  | 'login'
  | 'status'
  | 'entitlements'
  | 'created_by_process'
  | 'closed_by_tenure'
  | 'observed_at'
> & {
  readonly attributes: Attributes;
  /** The operation that is done with it; none when nobody waits for one. */
  readonly doneBy?: Pick<FinishedOperation, 'visitId' | 'operationKey'>;
};

/** A first credential for the person, encrypted. */
export type NewCredential = Pick<
  Selectable<CredentialHandoverTable>,
  'handover_id' | 'identity_id' | 'application' | 'process_id' | 'secret' | 'expires_at'
>;

/**
 * What visits write into Tenure's own rows between their calls at the targets. Like what they read (`VisitRows`), it is one statement for all visits of a worker
 * that write at the same moment; each row is decided by itself.
 */
export class VisitWrites {
  constructor(readonly db: Queryable) {}

  /**
   * Under a share lock on the identity's row: either the write is noted as in flight and every later cut, or hold, comes behind it, or it is told why it may not
   * be sent.
   */
  readonly fence = batched(async (writes: readonly FencedWrite[]) => {
    const column = <T>(of: (write: FencedWrite) => T): T[] => writes.map(of);
    const { rows } = await sql<{ visit_id: VisitId; passed: boolean; outdated: boolean }>`
      with asked as (
        select * from unnest(
          ${column((one) => one.visitId)}::uuid[], ${column((one) => one.identityId)}::uuid[],
          ${column((one) => one.generation)}::integer[], ${column((one) => one.at)}::timestamptz[],
          ${column((one) => one.until)}::timestamptz[], ${column((one) => one.destroys)}::boolean[]
        ) as asked (visit_id, identity_id, generation, at, until, destroys)
      ), fence as (
        select identity_id, generation, held_since from identity
        where identity_id = any(${[...new Set(column((one) => one.identityId))]}::uuid[]) order by identity_id for share
      ), judged as (
        select asked.*, asked.generation is not null and asked.generation < fence.generation as outdated,
          asked.destroys and fence.held_since is not null as held
        from asked join fence using (identity_id)
      ), passing as (
        update visit set write_in_flight = true, write_until = judged.until, wrote_at = judged.at,
          first_write_at = coalesce(visit.first_write_at, judged.at)
        from judged where visit.visit_id = judged.visit_id and not judged.outdated and not judged.held
        returning visit.visit_id
      )
      select visit_id, visit_id in (select visit_id from passing) as passed, outdated from judged`.execute(this.db);
    const judged = new Map(rows.map((row) => [row.visit_id, row]));
    return (write: FencedWrite): 'passed' | 'outdated' | 'held' => {
      const found = judged.get(write.visitId);
      if (found?.passed === true) return 'passed';
      return found?.outdated === false ? 'held' : 'outdated';
    };
  });

  /** Notes an operation as finished, that no write of its visit is in flight any more, and what it changed: all of it at once or nothing. */
  readonly finish = batched((operations: readonly FinishedOperation[]) => this.#finish(operations), {
    // A statement changes a row once: what two visits did to one account must not become what one of them did.
    apart: (operation) => operation.accountId,
  });

  async #finish(
    operations: readonly FinishedOperation[],
  ): Promise<(operation: FinishedOperation) => AccountRow | undefined> {
    const { rows } = await sql<AccountRow>`
      with done as (
        select * from jsonb_to_recordset(${JSON.stringify(operations)}::jsonb) as done
          ("visitId" uuid, "operationKey" text, at timestamptz, "accountId" uuid, changes jsonb)
      ), clear as (
        update visit set write_in_flight = false from done where visit.visit_id = done."visitId"
      ), step as (
        insert into visit_step (visit_id, operation_key, state, at)
        select "visitId", "operationKey", 'applied', at from done
        on conflict (visit_id, operation_key) do update set state = 'applied'
      ), back as (
        update suspension set ended_at = done.at, outcome = 'opened' from done
        where suspension.account_id = done."accountId" and suspension.ended_at is null and changes->>'status' = 'enabled'
      )
      update account set
        native_id = coalesce(changes->>'native_id', native_id),
        login = coalesce(changes->>'login', login),
        status = coalesce(changes->>'status', status),
        attributes = coalesce(changes->'attributes', attributes),
        entitlements = case when changes ? 'entitlements'
          then array(select jsonb_array_elements_text(changes->'entitlements')) else entitlements end,
        archived = coalesce((changes->>'archived')::boolean, archived),
        sealed = coalesce((changes->>'sealed')::boolean, sealed),
        closed_by_tenure = coalesce((changes->>'closed_by_tenure')::boolean, closed_by_tenure),
        secret = case when changes ? 'secret' then null else secret end,
        observed_at = coalesce((changes->>'observed_at')::timestamptz, observed_at),
        unlinked_at = coalesce((changes->>'unlinked_at')::timestamptz, unlinked_at)
      from done where account.account_id = done."accountId"
      returning account.*`.execute(this.db);
    return (operation) => rows.find((row) => row.account_id === operation.accountId);
  }

  /** Links an account, or observes it anew when the person has it already, and notes what made it as finished; undefined when it is linked to somebody else. */
  readonly link = batched(async (accounts: readonly NewLink[]) => {
    const { rows } = await sql<AccountRow>`
      with asked as (
        select * from jsonb_to_recordset(${JSON.stringify(accounts)}::jsonb) as asked (account_id uuid, identity_id uuid, application text, native_id text,
          login text, status text, attributes jsonb, entitlements text[], created_by_process text, closed_by_tenure boolean, observed_at timestamptz,
          "doneBy" jsonb)
      ), linked as (
        insert into account (account_id, identity_id, application, native_id, login, status, attributes, entitlements, created_by_process, closed_by_tenure, observed_at)
        select account_id, identity_id, application, native_id, login, status, attributes, entitlements, created_by_process, closed_by_tenure, observed_at
        from asked
        on conflict (application, native_id) where unlinked_at is null
          do update set observed_at = excluded.observed_at, status = excluded.status where account.identity_id = excluded.identity_id
        returning *
      ), done as (
        select ("doneBy"->>'visitId')::uuid as visit_id, "doneBy"->>'operationKey' as operation_key, asked.observed_at as at
        from asked join linked using (application, native_id) where "doneBy" is not null
      ), clear as (
        update visit set write_in_flight = false from done where visit.visit_id = done.visit_id
      ), step as (
        insert into visit_step (visit_id, operation_key, state, at) select visit_id, operation_key, 'applied', at from done
        on conflict (visit_id, operation_key) do update set state = 'applied'
      )
      select * from linked`.execute(this.db);
    return (account: NewLink) =>
      rows.find((row) => row.application === account.application && row.native_id === account.native_id);
  });

  /** Keeps a first credential until it is collected; gives the one that is kept already, and null once it was collected. */
  readonly keepCredential = batched(async (credentials: readonly NewCredential[]) => {
    const column = <T>(of: (credential: NewCredential) => T): T[] => credentials.map(of);
    // The update changes nothing, and so gives back what is stored.
    const { rows } = await sql<NewCredential>`
      insert into credential_handover (handover_id, identity_id, application, process_id, secret, expires_at)
      select * from unnest(
        ${column((one) => one.handover_id)}::uuid[], ${column((one) => one.identity_id)}::uuid[], ${column((one) => one.application)}::text[],
        ${column((one) => one.process_id)}::text[], ${column((one) => one.secret)}::bytea[], ${column((one) => one.expires_at)}::timestamptz[]
      )
      on conflict (identity_id, application, process_id) do update set process_id = excluded.process_id
      returning *`.execute(this.db);
    return (credential: NewCredential) =>
      rows.find(
        (row) =>
          row.identity_id === credential.identity_id &&
          row.application === credential.application &&
          row.process_id === credential.process_id,
      )?.secret ?? null;
  });

  /** Ends visits (`settle`): a repeat finds the visit settled and adds nothing. True when it ended now. */
  readonly end = batched(
    async (endings: readonly Ending[]) => {
      const settled = await writeEndings(this.db, endings);
      return (ending) => settled.has(ending.visit.row.visit_id);
    },
    { apart: (ending) => ending.visit.row.visit_id },
  );
}
