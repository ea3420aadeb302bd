import { brand } from '../process/ids.js';
import type { AccountId, ApplicationSlug } from '../process/ids.js';
import type { ActualAccount, Operation, Plan } from './types.js';

type Draft = { -readonly [K in keyof ActualAccount]: ActualAccount[K] };

/**
 * What the accounts would be after a plan: for previews of several phases in a row, and for tests. Operations that wait for an approval are not
 * done. A made account gets the id `simulated:<application>`. Pure; the given accounts are not changed.
 */
export function simulatePlan(actual: readonly ActualAccount[], plan: Plan): readonly ActualAccount[] {
  const accounts = actual.map((account): Draft => ({ ...account }));
  for (const visit of plan.visits) {
    let draft = accounts.find((account) => account.accountId === visit.accountId);
    for (const operation of visit.operations.flatMap(stepsOf)) {
      if (operation.kind === 'create') {
        draft = createdAccount(visit.application, operation);
        accounts.push(draft);
      } else if ((operation.kind === 'delete' || operation.kind === 'anonymise') && draft) {
        accounts.splice(accounts.indexOf(draft), 1);
      } else if (draft) {
        applyTo(draft, operation);
      }
    }
  }
  return accounts;
}

function stepsOf(operation: Operation): readonly Operation[] {
  if (operation.needsApproval) {
    return [];
  }
  return operation.kind === 'manual' ? (operation.steps ?? []).flatMap(stepsOf) : [operation];
}

function createdAccount(application: ApplicationSlug, operation: Operation): Draft {
  return {
    accountId: brand<AccountId>(`simulated:${application}`),
    application,
    nativeId: `simulated:${application}`,
    login: operation.login ?? '',
    status: operation.enabled === true ? 'enabled' : 'disabled',
    attributes: operation.attributes ?? {},
    entitlements: [],
    archived: false,
    sealed: false,
    createdHere: true,
  };
}

function applyTo(draft: Draft, operation: Operation): void {
  switch (operation.kind) {
    case 'update':
      draft.attributes = { ...draft.attributes, ...operation.attributes };
      break;
    case 'rename':
      draft.login = operation.login ?? draft.login;
      break;
    case 'enable':
      draft.status = 'enabled';
      draft.archived = false;
      draft.sealed = false;
      draft.disabledByTenure = false;
      break;
    case 'seal':
      draft.sealed = true;
      draft.status = 'disabled';
      draft.disabledByTenure = true;
      break;
    case 'disable':
      draft.status = 'disabled';
      draft.disabledByTenure = true;
      break;
    case 'add-entitlement':
      draft.entitlements = [...draft.entitlements, operation.entitlement ?? ''];
      break;
    case 'remove-entitlement':
      draft.entitlements = draft.entitlements.filter((name) => name !== operation.entitlement);
      break;
    case 'archive':
      draft.archived = true;
      draft.status = 'disabled';
      break;
    case 'hand-over-credential':
    case 'revoke-sessions':
    case 'revoke-credentials':
    case 'check-in':
    case 'transfer-ownership':
    case 'set-forwarding':
    case 'anonymise':
    case 'create':
    case 'delete':
    case 'manual':
      break;
  }
}
