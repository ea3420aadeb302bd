import type { Capabilities, ConnectorOperation } from '../connectors/connector.js';
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
  'hand-over-credential': 'setSecret',
  'add-entitlement': 'addMember',
  'remove-entitlement': 'removeMember',
  archive: 'archive',
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
