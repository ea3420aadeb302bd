import { z } from 'zod';
import { isSecretReference } from '../secret.js';
import { secretReference } from '../shared/http/config.js';
import { hostOperations, scriptSets } from './script-sets.js';

const plain = z
  .string()
  .regex(/^[^\u0000-\u001f]*$/, 'must not hold control characters')
  .refine((text) => !isSecretReference(text), 'must not be a secret: secrets are handed over on the standard input');
const functionName = z
  .string()
  .regex(/^[A-Z][A-Za-z]{1,30}-[A-Z][A-Za-z0-9]{1,60}$/, 'must be a name like Get-Account');
const settingName = z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, 'must be letters and digits');
const looksSecret = /passw|secret|token|credential|apikey|api_key/i;

const attribute = z.union([
  z
    .string()
    .min(1)
    .transform((property) => ({ property, type: 'string' as const, required: false, writable: true })),
  z.strictObject({
    /** The property's name in the scripts. */
    property: z.string().min(1),
    type: z.enum(['string', 'number', 'boolean', 'strings']).default('string'),
    required: z.boolean().default(false),
    writable: z.boolean().default(true),
  }),
]);

export const powershellConfigSchema = z
  .strictObject({
    host: z.strictObject({
      /** Program and arguments, started without a shell; `{scripts}` is the folder of the scripts that ship with Tenure. */
      command: z
        .array(plain)
        .min(1)
        .refine((words) => /^(\/|[A-Za-z]:\\)/.test(words[0] ?? ''), 'must begin with the full path of a program'),
      /** All that the program gets as its environment (Windows adds what it needs itself). */
      environment: z
        .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of a variable'), plain)
        .default({})
        .refine(
          (environment) => !Object.keys(environment).some((name) => looksSecret.test(name)),
          'must hold no secret: secrets are handed over on the standard input',
        ),
    }),
    /** A set that ships, or the name that scripts of your own give themselves. */
    scripts: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be small letters, digits and hyphens'),
    /** The allow-list: which function does an operation. Absent: all that the set offers. */
    operations: z.partialRecord(z.enum(hostOperations), functionName).optional(),
    /** Handed to the scripts when a session opens. */
    settings: z
      .record(settingName, z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
      .default({})
      .refine(
        (settings) => !Object.keys(settings).some((name) => looksSecret.test(name)),
        'must hold no secret: that is what `secrets` is for',
      ),
    secrets: z.record(settingName, secretReference).default({}),
    attributes: z
      .record(z.string().min(1), attribute)
      .refine((attributes) => !('login' in attributes), 'login is always there and needs no mapping'),
    /** The attribute that carries Tenure's key. */
    adoptionKey: z.string().default('externalId'),
    /** `update` may change the login. Absent: as the set says. */
    rename: z.boolean().optional(),
    sessions: z
      .strictObject({
        /** Hosts that run at once; verification has one more, which never writes. */
        max: z.int().min(1).max(64).default(4),
        idleMs: z.int().positive().default(300_000),
        /** A host is replaced after so many requests. */
        maxRequests: z.int().positive().default(500),
        startTimeoutMs: z.int().positive().default(60_000),
      })
      .prefault({}),
    /** One request; the start of a session is counted apart. */
    timeoutMs: z.int().positive().default(60_000),
    maxAnswerBytes: z.int().positive().default(16_777_216),
    consistencyWindowMs: z.int().nonnegative().default(0),
  })
  .superRefine((config, context) => {
    const operations = config.operations ?? scriptSets[config.scripts]?.operations;
    if (operations === undefined) {
      context.addIssue({ code: 'custom', path: ['operations'], message: 'are needed for scripts of your own' });
      return;
    }
    for (const needed of ['list', 'get', 'find'] as const) {
      if (operations[needed] === undefined) {
        context.addIssue({ code: 'custom', path: ['operations', needed], message: 'is needed' });
      }
    }
    const key = config.attributes[config.adoptionKey];
    if (operations.create !== undefined && key?.type !== 'string') {
      context.addIssue({ code: 'custom', path: ['adoptionKey'], message: 'must be an attribute of type string' });
    }
  });

export type PowershellConfig = z.infer<typeof powershellConfigSchema>;
export type AttributeConfig = PowershellConfig['attributes'][string];
