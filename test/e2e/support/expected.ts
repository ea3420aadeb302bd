import type { DirectoryAccount, EffectCounts, ErpAccount } from './peek.js';

/**
 * Where the sample company's story ends at the targets, by HR's numbers, and what it took: written down once from the policy, so that every run, disturbed or
 * not, is held against the same words.
 */
export const expectedDirectory: Readonly<Record<string, DirectoryAccount>> = {
  '48001': { userName: 'moritz.roettger', active: true, groups: ['all-staff'] },
  '48002': { userName: 'nina.justesen', active: true, groups: ['all-staff', 'engineering'] },
  '48003': { userName: 'wilfryd.wojtasik', active: true, groups: ['all-staff', 'finance'] },
  // Moved from Engineering to Sales; the old group stays for the grace period.
  '48004': { userName: 'vin.geese', active: true, groups: ['all-staff', 'engineering', 'sales'] },
  // Was peter.schroeder.
  '48005': { userName: 'peter.jespersen', active: true, groups: ['all-staff', 'engineering'] },
  '48006': { userName: 'isidore.paul', active: true, groups: ['all-staff', 'finance'] },
  '48007': { userName: 'jamel.reilly', active: false, groups: [] },
  '48008': { userName: 'nadine.ostendarp', active: true, groups: ['all-staff', 'sales'] },
  '48009': { userName: 'kayla.mcdermott', active: true, groups: ['contractors', 'engineering'] },
  // 48010 starts in twenty days: nothing yet. 48011 starts in two: there, but closed. 48012 was rescinded: gone.
  '48011': { userName: 'billy.wilkinson', active: false, groups: ['all-staff', 'engineering'] },
};

export const expectedErp: Readonly<Record<string, ErpAccount>> = {
  '48003': { login: 'wilfryd.wojtasik', enabled: true, archived: false, roles: ['ledger', 'payments-approver'] },
  '48004': { login: 'vin.geese', enabled: true, archived: false, roles: ['orders'] },
  // Gave notice: no more payments.
  '48006': { login: 'isidore.paul', enabled: true, archived: false, roles: ['ledger'] },
  '48007': { login: 'jamel.reilly', enabled: false, archived: false, roles: [] },
  '48008': { login: 'nadine.ostendarp', enabled: true, archived: false, roles: ['orders'] },
};

/** Effects at each target, without what may be written twice with the same end (see `isRepeatable`). */
export const expectedEffects: Readonly<Record<'directory' | 'erp' | 'wiki', EffectCounts>> = {
  directory: {
    '48001': { create: 1, enable: 1, 'member-add': 1 },
    '48002': { create: 1, enable: 1, 'member-add': 2 },
    '48003': { create: 1, enable: 1, 'member-add': 2 },
    '48004': { create: 1, enable: 1, 'member-add': 3, update: 1 },
    '48005': { create: 1, enable: 1, 'member-add': 2, update: 2 },
    '48006': { create: 1, enable: 1, 'member-add': 2 },
    '48007': { create: 1, enable: 1, 'member-add': 2, disable: 1, 'member-remove': 2 },
    // Left, came back.
    '48008': { create: 1, enable: 2, 'member-add': 4, disable: 1, 'member-remove': 2 },
    '48009': { create: 1, enable: 1, 'member-add': 2 },
    '48011': { create: 1, 'member-add': 2 },
    gone: { create: 1, 'member-add': 2, 'member-remove': 2, delete: 1 },
  },
  erp: {
    '48003': { create: 1, enable: 1, 'member-add': 2 },
    '48004': { create: 1, enable: 1, 'member-add': 1 },
    '48006': { create: 1, enable: 1, 'member-add': 2, 'member-remove': 1 },
    '48007': { create: 1, enable: 1, 'member-add': 1, disable: 1, 'member-remove': 1 },
    '48008': { create: 1, enable: 2, 'member-add': 2, disable: 1, 'member-remove': 1 },
  },
  wiki: {},
};

/** A random secret set twice, or sessions ended twice, is the same in the end: a repeat after a lost answer may do it. */
export function isRepeatable(operation: string): boolean {
  return operation === 'password' || operation === 'sessions-end';
}
