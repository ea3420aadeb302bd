import type {
  AccountRef,
  CredentialKind,
  CredentialList,
  MutationResult,
  OperationContext,
  SessionCount,
} from '../connector.js';
import { credentialKinds } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import type { Json } from '../shared/http/json.js';
import { requireSeen } from './accounts.js';
import type { RestConfig } from './config.js';
import type { Step } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import { runOf } from './context.js';
import { allItems, itemText, requireText } from './items.js';
import { accountVariables } from './observe.js';
import type { SeenAccount } from './observe.js';
import { places } from './places.js';
import { runSteps } from './steps.js';

/** Sets a secret. It cannot be read back, so it always writes. */
export async function setSecret(
  rest: RestContext,
  steps: readonly Step[],
  ref: AccountRef,
  secret: Secret,
  run: Run,
): Promise<MutationResult> {
  const account = accountVariables(await requireSeen(rest, ref, run));
  await runSteps(rest, steps, { place: places.secret, variables: { account, secret: secret.reveal() }, ref }, run);
  return { outcome: 'applied', ref, changed: [] };
}

type SessionsConfig = NonNullable<RestConfig['sessions']>;

/** The account's sessions by the target's own list. */
export async function listSessions(
  rest: RestContext,
  sessions: SessionsConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<SessionCount> {
  const run = runOf(rest, 'listSessions', ctx);
  const seen = await requireSeen(rest, ref, run);
  const { residual } = sessions;
  return {
    count: (await sessionItems(rest, sessions, seen, run)).length,
    road: 'http:session-list',
    ...(residual === undefined
      ? {}
      : { residual: { what: residual.what, until: new Date(Date.now() + residual.forMs).toISOString() } }),
  };
}

export async function revokeSessions(
  rest: RestContext,
  sessions: SessionsConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, 'revokeSessions', ctx);
  const seen = await requireSeen(rest, ref, run);
  const open = await sessionItems(rest, sessions, seen, run);
  if (open.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  const variables = { account: accountVariables(seen), sessions: open };
  await runSteps(rest, sessions.revoke, { place: places.sessions, variables, ref }, run);
  return { outcome: 'applied', ref, changed: [] };
}

function sessionItems(
  rest: RestContext,
  sessions: SessionsConfig,
  seen: SeenAccount,
  run: Run,
): Promise<readonly Json[]> {
  return allItems(rest, sessions.list, places.ofAccount, { account: accountVariables(seen) }, run);
}

type CredentialsConfig = NonNullable<RestConfig['credentials']>;
type CredentialSource = CredentialsConfig[number];

interface SeenCredential {
  readonly id: string;
  readonly kind: CredentialKind;
  readonly item: Json;
  /** How one of this list is taken away. */
  readonly revoke: CredentialSource['revoke'];
}

/** Second factors and keys of all lists. */
async function readCredentials(
  rest: RestContext,
  credentials: CredentialsConfig,
  seen: SeenAccount,
  run: Run,
): Promise<readonly SeenCredential[]> {
  const found: SeenCredential[] = [];
  for (const source of credentials) found.push(...(await readSource(rest, source, seen, run)));
  return found;
}

/** A kind that the configuration does not know is INVALID: what lets somebody in is never overlooked. */
async function readSource(
  rest: RestContext,
  source: CredentialSource,
  seen: SeenAccount,
  run: Run,
): Promise<readonly SeenCredential[]> {
  const items = await allItems(rest, source.list, places.ofAccount, { account: accountVariables(seen) }, run);
  return items.flatMap((item): SeenCredential[] => {
    const kind = itemText(rest, source.kind, item, run);
    if (kind === '') return [];
    const known = credentialKinds.find((each) => each === kind);
    if (known === undefined) {
      throw new ConnectorError({
        code: 'INVALID',
        operation: run.operation,
        sent: false,
        attribute: 'credential',
        targetCode: 'unknown-kind',
      });
    }
    return [{ id: requireText(rest, source.id, item, run), kind: known, item, revoke: source.revoke }];
  });
}

export async function listCredentials(
  rest: RestContext,
  credentials: CredentialsConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<CredentialList> {
  const run = runOf(rest, 'listCredentials', ctx);
  const found = await readCredentials(rest, credentials, await requireSeen(rest, ref, run), run);
  return { credentials: found.map(({ id, kind }) => ({ id, kind })), road: 'http:credential-list' };
}

/** Takes one after the other away; a repeat goes on with those that are left. */
export async function revokeCredentials(
  rest: RestContext,
  credentials: CredentialsConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, 'revokeCredentials', ctx);
  const seen = await requireSeen(rest, ref, run);
  const found = await readCredentials(rest, credentials, seen, run);
  const account = accountVariables(seen);
  let doneBefore = 0;
  for (const { id, kind, item, revoke } of found) {
    const variables = { account, credential: { id, kind, item } };
    doneBefore += await runSteps(rest, revoke, { place: places.credential, variables, ref, doneBefore }, run);
  }
  return { outcome: found.length === 0 ? 'already-in-state' : 'applied', ref, changed: [] };
}
