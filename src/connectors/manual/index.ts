import { z } from 'zod';
import type { Capabilities, Connector, Instructions, ManualOperation } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import { parseConfig } from '../registry.js';
import { describeKind, factoryOf } from '../shared/factory.js';

const template = z.string().min(1);

export const manualConfigSchema = z.strictObject({
  /** What the person who gets the task should read first: where the system is, who may touch it. */
  system: z.string().min(1),
  /** What to hand in as proof, for instance a ticket number or an export. */
  proof: z.string().min(1).default('Say what you did, and where it can be seen.'),
  /** A text per operation, with `{{placeholders}}`; absent ones use the general text. */
  instructions: z
    .strictObject({
      create: template.optional(),
      update: template.optional(),
      disable: template.optional(),
      enable: template.optional(),
      archive: template.optional(),
      delete: template.optional(),
      grant: template.optional(),
      revoke: template.optional(),
    })
    .default({}),
});

export type ManualConfig = z.infer<typeof manualConfigSchema>;

const general: Readonly<Record<ManualOperation, string>> = {
  create: 'Create the account {{login}}.',
  update: 'Change the account {{login}}: {{changes}}.',
  disable: 'Disable the account {{login}} so that nobody can use it, and end what is open.',
  enable: 'Enable the account {{login}}.',
  archive: 'Archive the account {{login}}.',
  delete: 'Delete the account {{login}}.',
  grant: 'Give {{entitlement}} to the account {{login}}.',
  revoke: 'Take {{entitlement}} from the account {{login}}.',
};

/**
 * The text of an operator task. Pure; a placeholder without a value is named in `missing` and never left empty.
 * Throws ConnectorConfigError when the configuration is wrong.
 */
export function renderInstructions(
  application: string,
  rawConfig: unknown,
  operation: ManualOperation,
  values: Readonly<Record<string, string | undefined>>,
): Instructions {
  const config = parseConfig(manualConfigSchema, application, rawConfig);
  const missing: string[] = [];
  const source = config.instructions[operation] ?? general[operation];
  const text = source.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined || value === '') {
      missing.push(name);
      return '(unknown)';
    }
    return value;
  });
  return { system: config.system, text, proof: config.proof, missing };
}

export const manualDescriptor = describeKind('manual', 'Manual fulfilment by a person', manualConfigSchema);

/** It declares no operation at all, so the planner makes every one an operator task. */
export function manualCapabilities(): Capabilities {
  return {
    objectClasses: { account: { operations: [], findBy: [] } },
    signInProbe: false,
    atomicSeal: false,
    entitlements: false,
    rename: false,
    sessions: false,
    archive: false,
    consistencyWindowMs: 0,
  };
}

/** The connector of applications that nothing can reach: every operation is a person's. */
export const manualFactory: ConnectorFactory = factoryOf(
  manualDescriptor,
  manualConfigSchema,
  (application, config) => {
    return {
      ...manualConnector,
      instructions: (operation, values) => renderInstructions(application, config, operation, values),
    };
  },
);

function unsupported(operation: string): Promise<never> {
  return Promise.reject(new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false }));
}

const manualConnector: Connector = {
  descriptor: manualDescriptor,
  capabilities: manualCapabilities,
  schema: () => Promise.resolve({ objectClasses: [{ name: 'account', attributes: [] }] }),
  health: () => Promise.resolve({ ok: true, latencyMs: 0 }),
  validate: () => Promise.resolve([]),
  close: () => Promise.resolve(),
  list: () => unsupported('list'),
  get: () => unsupported('get'),
  find: () => unsupported('find'),
  // Nothing can be read, so nothing is ever proven here; the proof is what the person hands in.
  verify: () => Promise.resolve({ verdict: 'unknown', mismatches: [], road: 'none', seen: {} }),
};
