/** Reads PowerShell without running it: what does not parse, and what a script of ours must not do. */
import { fileURLToPath } from 'node:url';
import type { Node } from 'web-tree-sitter';
import { Language, Parser } from 'web-tree-sitter';

await Parser.init();
const grammar = fileURLToPath(import.meta.resolve('tree-sitter-powershell/tree-sitter-powershell.wasm'));
const parser = new Parser().setLanguage(await Language.load(grammar));

/** Everything outside the scripts that may be called; what is not here is a problem. */
const commands = new Set([
  ...['Import-Module', 'Set-StrictMode', 'Join-Path', 'Get-Command', 'Select-Object', 'Where-Object', 'ForEach-Object'],
  ...['ConvertTo-Json', 'ConvertFrom-Json', 'Add-Type'],
  ...['Get-ADDomain', 'Get-ADGroup', 'Get-ADObject', 'Get-ADRootDSE', 'Get-ADUser', 'New-ADUser', 'Set-ADUser'],
  ...['Remove-ADUser', 'Rename-ADObject', 'Disable-ADAccount', 'Enable-ADAccount', 'Set-ADAccountPassword'],
  ...['Add-ADGroupMember', 'Remove-ADGroupMember'],
  ...['Connect-ExchangeOnline', 'Get-ConnectionInformation', 'Get-OrganizationConfig', 'Get-Mailbox', 'Set-Mailbox'],
  ...['Get-MailboxAutoReplyConfiguration', 'Set-MailboxAutoReplyConfiguration', 'Get-DistributionGroup'],
  ...['Get-DistributionGroupMember', 'Add-DistributionGroupMember', 'Remove-DistributionGroupMember'],
  ...['Connect-PnPOnline', 'Get-PnPWeb', 'Get-PnPUser', 'Remove-PnPUser', 'Get-PnPGroup', 'Get-PnPGroupMember'],
  ...['Add-PnPGroupMember', 'Remove-PnPGroupMember', 'Get-PnPTenantSite', 'Set-PnPTenantSite'],
]);

/** Types whose members run text or programs, or write where nobody looks. */
const refusedTypes = /(^|\.)(scriptblock|powershell|process|runspace\w*|marshal|file|streamwriter|environment)$/i;
const refusedMembers = /^(InvokeCommand|InvokeScript|NewScriptBlock|ExpandString|Invoke)$/i;

export interface Problem {
  readonly line: number;
  readonly what: string;
}

/** What the grammar cannot read. */
export function syntaxProblems(text: string): readonly Problem[] {
  const root = rootOf(text);
  return [...nodes(root)]
    .filter((node) => node.isError || node.isMissing)
    .map((node) => ({ line: node.startPosition.row + 1, what: node.isMissing ? 'missing' : 'syntax' }));
}

/** Names of the functions that a script defines. */
export function functionsIn(text: string): readonly string[] {
  return [...nodes(rootOf(text))].filter(({ type }) => type === 'function_name').map((node) => node.text);
}

/** The words of a list that is assigned to a variable. */
export function listIn(text: string, variable: string): readonly string[] {
  const assignment = [...nodes(rootOf(text))].find(
    (node) => node.type === 'assignment_expression' && node.firstChild?.text === variable,
  );
  if (assignment === undefined) return [];
  const words = [...nodes(assignment)].filter(({ type }) => type === 'verbatim_string_characters');
  return words.map((node) => node.text.slice(1, -1));
}

/** What a script of ours must not do. `own` are the functions that it may call besides the cmdlets on the list. */
export function ruleProblems(text: string, own: ReadonlySet<string>): readonly Problem[] {
  const problems: Problem[] = [];
  for (const node of nodes(rootOf(text))) {
    const what = problemOf(node, own);
    if (what !== undefined) problems.push({ line: node.startPosition.row + 1, what });
  }
  return problems;
}

function problemOf(node: Node, own: ReadonlySet<string>): string | undefined {
  const { text, type } = node;
  const name = text.toLowerCase();
  switch (type) {
    case 'command_name':
      return commands.has(text) || own.has(text) ? undefined : `command ${text}`;
    case 'command_name_expr':
      // The dispatch of the host loop, and the set that it loads: nothing else is run by value.
      return (text === '$function' || text === '$set') && isIn(node, 'command') && own.has('Write-TenureFrame')
        ? undefined
        : 'a command by value';
    case 'variable':
      if (name === '$input') return 'piped input';
      return name === '$secrets' ? secretsProblem(node) : undefined;
    case 'type_identifier':
    case 'type_name':
      return refusedTypes.test(text) ? `type ${text}` : undefined;
    case 'simple_name':
      return refusedMembers.test(text) ? `member ${text}` : undefined;
    case 'member_access':
      return /^\[Console\]::(Out|Error|Write)/i.test(text) && functionOf(node) !== 'Write-TenureFrame'
        ? 'writes to the console'
        : undefined;
    case 'command_parameter':
      return /^-(AsPlainText|TypeDefinition|MemberDefinition|Debug|Verbose)$/i.test(text)
        ? `parameter ${text}`
        : undefined;
    default:
      return undefined;
  }
}

/** Secrets are declared, handed on whole by the host loop, looked for by name, or made into a SecureString at once. */
function secretsProblem(node: Node): string | undefined {
  if (isIn(node, 'param_block')) return undefined;
  const parent = node.parent;
  if (parent?.parent?.text.startsWith('$Secrets.ContainsKey(') === true) return undefined;
  if (functionOf(node) === 'Invoke-TenureRequest') return undefined;
  const command = ancestor(node, 'command');
  const isConverted = command?.firstChild?.text === 'ConvertTo-TenureSecret' && parent?.type === 'element_access';
  return isConverted ? undefined : 'a secret that goes elsewhere';
}

const isIn = (node: Node, type: string): boolean => ancestor(node, type) !== undefined;

function ancestor(node: Node, type: string): Node | undefined {
  for (let one = node.parent; one !== null; one = one.parent) if (one.type === type) return one;
  return undefined;
}

const functionOf = (node: Node): string | undefined =>
  ancestor(node, 'function_statement')?.children.find((child) => child?.type === 'function_name')?.text;

function rootOf(text: string): Node {
  const tree = parser.parse(text);
  if (tree === null) throw new Error('the parser gives no tree');
  return tree.rootNode;
}

function* nodes(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children) if (child !== null) yield* nodes(child);
}
