import { describeConformance } from './conformance.js';
import { powershellHarness } from './powershell-harness.js';

// No PowerShell can run here: a Node program speaks the protocol in its place (test/systems/powershell-host.mjs).
describeConformance('powershell, own scripts, on a stand-in host', () => powershellHarness('directory'), 200);
describeConformance('powershell, the set for Active Directory, on a stand-in host', () =>
  powershellHarness('active-directory'),
);
