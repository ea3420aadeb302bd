import type { Forwarding } from '../connector.js';

/** The name of the script that is Tenure's own. */
export const SCRIPT_NAME = 'tenure';
const HEADER = '# Made by Tenure; changes by hand are found and overwritten. ';

/** What Tenure's script was made of. */
export interface OwnScript {
  readonly forwarding: Forwarding;
  /** The person's own script that was active before, put back when the forwarding is taken away. */
  readonly previous: string | undefined;
}

/**
 * The Sieve script (RFC 5228, vacation RFC 5230, copy RFC 3894) of a forwarding. Neither `variables` nor
 * `encoded-character` is required, so that nothing inside a quoted string means anything.
 */
export function renderScript({ forwarding, previous }: OwnScript): string {
  const { to, keepsCopy, autoReply } = forwarding;
  const extensions = [
    ...(autoReply === undefined ? [] : ['vacation']),
    ...(to !== undefined && keepsCopy ? ['copy'] : []),
  ];
  const made = Buffer.from(JSON.stringify([to ?? null, keepsCopy, autoReply ?? null, previous ?? null])).toString(
    'base64',
  );
  return [
    `${HEADER}${made}`,
    ...(extensions.length === 0 ? [] : [`require [${extensions.map(quoted).join(', ')}];`]),
    ...(autoReply === undefined
      ? []
      : [`vacation :days 1 :subject ${quoted(autoReply.subject)} ${quoted(autoReply.text)};`]),
    ...(to === undefined ? (keepsCopy ? [] : ['discard;']) : [`redirect ${keepsCopy ? ':copy ' : ''}${quoted(to)};`]),
    '',
  ].join('\r\n');
}

/**
 * Reads a script back. `undefined`: it is not one of Tenure's, or somebody changed it: the line of comment alone proves
 * nothing, so the script is made anew from it and must be the same, byte for byte.
 */
export function readScript(text: string): OwnScript | undefined {
  const [first = ''] = text.split('\r\n', 1);
  if (!first.startsWith(HEADER)) return undefined;
  try {
    const made: unknown = JSON.parse(Buffer.from(first.slice(HEADER.length), 'base64').toString('utf8'));
    if (!Array.isArray(made)) return undefined;
    const [to, keepsCopy, autoReply, previous] = made as [
      string | null,
      boolean,
      Forwarding['autoReply'] | null,
      string | null,
    ];
    const forwarding: Forwarding = {
      to: to ?? undefined,
      keepsCopy,
      ...(autoReply === null || autoReply === undefined ? {} : { autoReply }),
    };
    const own = { forwarding, previous: previous ?? undefined };
    return renderScript(own) === text ? own : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a script begins like one of Tenure's: it may be overwritten, whatever somebody did to it. */
export function isOwn(text: string): boolean {
  return text.startsWith(HEADER);
}

/**
 * Whether somebody's own script may send mail elsewhere or answer it: by its words, comments and strings left out. Too
 * often yes rather than once too seldom.
 */
export function maySendElsewhere(script: string): boolean {
  const bare = script.replace(
    /"(?:[^"\\]|\\[\s\S])*"|#[^\n]*|\/\*[\s\S]*?\*\/|text:[ \t]*(?:#[^\n]*)?\r?\n[\s\S]*?\r?\n\.\r?\n/g,
    ' ',
  );
  return /\b(redirect|vacation|notify|include|reject|ereject|execute|pipe|filter)\b/i.test(bare);
}

/** The attribute that cannot be written into a script, or undefined. */
export function wrongPart({ to, autoReply }: Forwarding): string | undefined {
  if (to !== undefined && !/^[^\s@"\\<>(),;:[\]]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(to)) return 'to';
  // A line break in a subject would be a header of its own; no control character belongs into either.

  if (autoReply !== undefined && /[\x00-\x1f\x7f]/.test(autoReply.subject)) return 'autoReply.subject';

  if (autoReply !== undefined && /[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(autoReply.text)) return 'autoReply.text';
  return undefined;
}

/** A quoted string (RFC 5228, 2.4.2): backslash and quote escaped, lines ended by CR LF. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/\r\n?|\n/g, '\r\n')}"`;
}
