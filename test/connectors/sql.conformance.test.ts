import { describeConformance } from './conformance.js';
import { sqlHarness } from './sql-harness.js';

describeConformance('sql with the sandbox ERP', sqlHarness);
