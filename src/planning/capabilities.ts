import type { Capabilities, ConnectorOperation } from '../connectors/connector.js';
import type { ApplicationPolicy } from '../domain/policy/types.js';
import type { OperationKind } from '../domain/process/kinds.js';

/** Which connector operation stands behind which operation of a plan. `manual` is a person's. */
const CONNECTOR_OPERATION: Readonly<Record<Exclude<OperationKind, 'manual'>, ConnectorOperation>> = {
  create: 'create',
  update: 'update',
  rename: 'update',
  enable: 'enable',
  disable: 'disable',
  seal: 'seal',
  'revoke-sessions': 'revokeSessions',
  'revoke-credentials': 'revokeCredentials',
  'check-in': 'checkIn',
  'hand-over-credential': 'setSecret',
  'add-entitlement': 'addMember',
  'remove-entitlement': 'removeMember',
  'transfer-ownership': 'transferOwned',
  'set-forwarding': 'setForwarding',
  archive: 'archive',
  anonymise: 'anonymise',
  delete: 'delete',
};

/** What a connector can do, in the planner's words. Pure. */
export function operationKinds(capabilities: Capabilities): readonly OperationKind[] {
  const operations = new Set(capabilities.objectClasses.account.operations);
  const kinds = Object.entries(CONNECTOR_OPERATION) as [OperationKind, ConnectorOperation][];
  return kinds
    .filter(([kind, operation]) => operations.has(operation) && (kind !== 'rename' || capabilities.rename))
    .map(([kind]) => kind);
}

/** What a person is asked for only where the application's own instructions have words for it: not every system has second factors or leases. */
const ASKED_WHEN_WORDED: readonly OperationKind[] = ['revoke-credentials', 'check-in', 'anonymise'];

/** The operations of an application without a reachable target that are not asked of a person everywhere. Pure. */
export function manualKinds(application: ApplicationPolicy): readonly OperationKind[] {
  const { instructions } = application.config;
  if (typeof instructions !== 'object' || instructions === null) return [];
  return ASKED_WHEN_WORDED.filter((kind) => Object.hasOwn(instructions, kind));
}
