/** Groups of the sandbox directory; the sample policy's roles grant them by name. */
export const directoryGroups = [
  'all-staff',
  'contractors',
  'engineering',
  'finance',
  'sales',
  'support',
  'managers',
  'admins',
] as const;

/** Roles of the sandbox ERP. */
export const erpRoles = ['ledger', 'orders', 'payments-approver', 'purchasing', 'payroll', 'erp-admin'] as const;
