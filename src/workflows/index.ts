/** The workflow types that a worker serves; their names are published names. */
export { identityWorkflow } from './identity.js';
export { joinerWorkflow } from './joiner.js';
export { moverWorkflow } from './mover.js';
export { leaverWorkflow } from './leaver.js';
export { rehireWorkflow } from './rehire.js';
export { leaveWorkflow } from './leave-of-absence.js';
export { operatorWorkflow } from './operator.js';
export { migrationWorkflow } from './migration.js';
export { dueIdentitiesWorkflow } from './due-identities.js';
export { applicationTestWorkflow } from './application-test.js';
export { importWorkflow } from './import.js';
export { applicationHealthWorkflow } from './application-health.js';
export { serviceAccountWorkflow } from './service-account.js';
