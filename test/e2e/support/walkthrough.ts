/** A command of a walk-through and what the document says that it answers. */
export interface DocumentedStep {
  readonly command: string;
  readonly output: string;
}

const STOPPED = '<!-- the stack is stopped here -->';
const BLOCK = /```console\n([\s\S]*?)```/g;

/** The steps of a document: of its `console` blocks, a line `$ …` is a command and the lines up to the next one are what it said. */
export function stepsOf(markdown: string): { readonly online: DocumentedStep[]; readonly offline: DocumentedStep[] } {
  const [online = '', offline = ''] = markdown.split(STOPPED);
  const steps = (part: string): DocumentedStep[] =>
    [...part.matchAll(BLOCK)].flatMap(([, block = '']) => inBlock(block));
  return { online: steps(online), offline: steps(offline) };
}

function inBlock(block: string): DocumentedStep[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...lines] = text.split('\n');
      return { command, output: lines.join('\n').trimEnd() };
    });
}

/** The document with what the commands said this time in the place of what it says. */
export function rewritten(markdown: string, outputs: ReadonlyMap<string, string>): string {
  return markdown.replaceAll(BLOCK, (_all, block: string) => {
    const said = inBlock(block).map(({ command, output }) => {
      const text = outputs.get(command) ?? output;
      return `$ ${command}\n${text === '' ? '' : `${text}\n`}`;
    });
    return `\`\`\`console\n${said.join('')}\`\`\``;
  });
}

/**
 * An output without what may differ from run to run: instants, ids and keys, whether a deadline was met (a slow machine may miss one), and the order in which
 * targets answered. Of the lines that follow a cut the last one of each application is left.
 */
export function shapeOf(output: string): string {
  const progress = new Map<string, string>();
  const rest = output.split('\n').filter((line) => {
    const [, application] = /^([a-z][\w-]*): \S/.exec(line) ?? [];
    if (application !== undefined) progress.set(application, line);
    return application === undefined;
  });
  return [...[...progress.values()].sort(), ...rest]
    .join('\n')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, 'INSTANT')
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/^(Key +)[\w-]{43}$/gm, '$1KEY')
    .replaceAll(/\b(met {3}|missed)\b/g, 'judged')
    .replaceAll(/\d+ met, \d+ missed/g, 'judged')
    .trimEnd();
}
