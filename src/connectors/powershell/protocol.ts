import { z } from 'zod';
import { connectorErrorCodes } from '../errors.js';
import type { Secret } from '../secret.js';

/** The version of the protocol; a host that speaks another one is refused. */
export const PROTOCOL = 1;

export interface HostRequest {
  /** The function's name; the host looks it up in its own list and never runs text. */
  readonly command: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, Secret>> | undefined;
}

const name = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,99}$/);
const readySchema = z.object({
  tenure: z.literal('ready'),
  protocol: z.literal(PROTOCOL),
  scripts: name,
  functions: z.array(name),
});
export type Ready = z.infer<typeof readySchema>;

/** A code that has another form may be text of the target, and text may be personal. */
const wordOr = (pattern: RegExp, instead: string) =>
  z
    .string()
    .transform((text) => (pattern.test(text) ? text : instead))
    .nullish();
const errorSchema = z.object({
  code: z.enum(connectorErrorCodes),
  targetCode: wordOr(/^[A-Za-z][A-Za-z0-9_.:-]{0,79}$/, 'unclear-code'),
  /** The name of a property. */
  attribute: z.string().max(100).nullish(),
  retryAfterMs: z.int().nonnegative().nullish(),
  /** False: the script knows that it has written nothing. */
  sent: z.boolean().nullish(),
});
export type HostError = z.infer<typeof errorSchema>;

const answerSchema = z.union([
  z.strictObject({ id: z.string(), ok: z.literal(true), result: z.unknown() }),
  z.strictObject({ id: z.string(), ok: z.literal(false), error: errorSchema }),
]);
export type Answer = z.infer<typeof answerSchema>;

/** One line of ASCII, whatever encoding the host's standard input has. Secrets are revealed here and nowhere else. */
export function encodeRequest(id: string, request: HostRequest): string {
  const secrets = Object.entries(request.secrets ?? {}).map(([key, secret]) => [key, secret.reveal()]);
  const frame = {
    id,
    command: request.command,
    arguments: request.arguments,
    ...(secrets.length === 0 ? {} : { secrets: Object.fromEntries(secrets) as Record<string, string> }),
  };
  const ascii = JSON.stringify(frame).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${ascii}\n`;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Undefined: another line, as a banner or a warning is. */
export function parseReady(line: string): Ready | undefined {
  return readySchema.safeParse(parsed(line)).data;
}

/** Undefined: no answer to this request. */
export function parseAnswer(line: string, id: string): Answer | undefined {
  const answer = answerSchema.safeParse(parsed(line)).data;
  return answer?.id === id ? answer : undefined;
}

const propertyValue = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]);
const account = z.object({
  nativeId: z.string().min(1),
  login: z.string(),
  status: z.enum(['enabled', 'disabled', 'locked', 'unknown']),
  properties: z.record(z.string(), propertyValue),
  /** Null: not shown. */
  entitlements: z.array(z.string()).nullish(),
  version: z.string().nullish(),
});
export type HostAccount = z.infer<typeof account>;

const count = z.object({ count: z.int().nonnegative() });
const forwarding = z.object({
  to: z.string().min(1).nullish(),
  keepsCopy: z.boolean(),
  autoReply: z.object({ subject: z.string(), text: z.string() }).nullish(),
});

/** What functions give back, by operation. */
export const resultSchemas = {
  account: account.nullish(),
  accounts: z.object({ accounts: z.array(account) }),
  page: z.object({ accounts: z.array(account), more: z.boolean() }),
  members: z.object({ members: z.array(z.string().min(1)), more: z.boolean() }),
  created: z.object({ nativeId: z.string().min(1) }),
  count,
  forwarding: forwarding.nullish(),
  signIn: z.object({
    answer: z.enum(['accepted', 'disabled', 'wrong-secret', 'locked', 'unknown']),
    code: z.string().transform((text) => (/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}$/.test(text) ? text : 'unclear-code')),
  }),
  schema: z.object({ properties: z.array(z.string()) }),
  nothing: z.unknown(),
} as const;
