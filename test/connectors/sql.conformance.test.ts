import { describeConformance } from './conformance.js';
import { procedureVariant, softDeleteVariant, sqlHarness } from './sql-harness.js';

describeConformance('sql with the sandbox ERP', () => sqlHarness());
describeConformance('sql with the sandbox ERP by procedures', () => sqlHarness(procedureVariant));
describeConformance('sql with the sandbox ERP and a soft delete', () => sqlHarness(softDeleteVariant));
