/** Operations that a script may do; the other ones are made from these. */
export const hostOperations = [
  'list',
  'get',
  'find',
  'create',
  'update',
  'disable',
  'enable',
  'delete',
  'seal',
  'listMembers',
  'addMember',
  'removeMember',
  'listSessions',
  'revokeSessions',
  'setSecret',
  'listOwned',
  'transferOwned',
  'readForwarding',
  'setForwarding',
  'probeSignIn',
] as const;
export type HostOperation = (typeof hostOperations)[number];

export interface ScriptSet {
  readonly operations: Partial<Readonly<Record<HostOperation, string>>>;
  readonly rename: boolean;
}

/** What every set of scripts offers, whatever is on the list of operations; none of them writes. */
export const hostFunctions = {
  open: 'Open-TenureConnection',
  health: 'Test-TenureConnection',
  schema: 'Get-TenureSchema',
} as const;

const reads = { list: 'Get-TenureAccountPage', get: 'Get-TenureAccount', find: 'Find-TenureAccount' } as const;
const members = {
  listMembers: 'Get-TenureMemberPage',
  addMember: 'Add-TenureMember',
  removeMember: 'Remove-TenureMember',
} as const;

/** The sets that ship, by name. MAINTENANCE: a test reads the names of the functions from the scripts. */
export const scriptSets: Readonly<Record<string, ScriptSet>> = {
  'active-directory': {
    operations: {
      ...reads,
      create: 'New-TenureAccount',
      update: 'Set-TenureAccount',
      disable: 'Disable-TenureAccount',
      enable: 'Enable-TenureAccount',
      delete: 'Remove-TenureAccount',
      seal: 'Protect-TenureAccount',
      ...members,
      setSecret: 'Set-TenureSecret',
      probeSignIn: 'Test-TenureSignIn',
    },
    rename: true,
  },
  exchange: {
    operations: {
      ...reads,
      update: 'Set-TenureAccount',
      ...members,
      readForwarding: 'Get-TenureForwarding',
      setForwarding: 'Set-TenureForwarding',
    },
    rename: false,
  },
  sharepoint: {
    operations: {
      ...reads,
      delete: 'Remove-TenureAccount',
      ...members,
      listOwned: 'Get-TenureOwnedCount',
      transferOwned: 'Move-TenureOwned',
    },
    rename: false,
  },
};
