import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { scriptsFolder } from '../../src/connectors/powershell/child.js';
import { hostFunctions, scriptSets } from '../../src/connectors/powershell/script-sets.js';
import { functionsIn, listIn, ruleProblems, syntaxProblems } from '../support/powershell-syntax.js';

const textOf = (name: string): string => readFileSync(join(scriptsFolder, name), 'utf8');
const names = readdirSync(scriptsFolder).filter((name) => name.endsWith('.ps1'));
const loop = textOf('tenure-host.ps1');
const callable = (name: string): Set<string> => new Set([...functionsIn(loop), ...functionsIn(textOf(name))]);

describe('the scripts that ship', () => {
  it('are the host loop and a file per set', () => {
    expect(names.sort()).toEqual(['tenure-host.ps1', ...Object.keys(scriptSets).map((set) => `${set}.ps1`)].sort());
  });

  it.each(names)('%s can be read by a grammar of PowerShell', (name) => {
    expect(syntaxProblems(textOf(name))).toEqual([]);
  });

  it.each(names)('%s runs no text, calls nothing that is not listed, and lets no secret go astray', (name) => {
    expect(ruleProblems(textOf(name), callable(name))).toEqual([]);
  });

  it.each(Object.entries(scriptSets))('%s offers what the connector asks of it, no more and no less', (name, set) => {
    const text = textOf(`${name}.ps1`);
    const wanted = [...Object.values(set.operations), ...Object.values(hostFunctions)];
    const offered = listIn(text, '$script:TenureFunctions');
    expect([...offered].sort()).toEqual([...wanted].sort());
    const defined = functionsIn(text);
    expect(offered.filter((one) => !defined.includes(one))).toEqual([]);
  });

  it('are beside the compiled worker', () => {
    const built = fileURLToPath(new URL('../../build/src/connectors/powershell/scripts', import.meta.url));
    expect(names.filter((name) => !existsSync(join(built, name)))).toEqual([]);
  });
});

describe('the checker of scripts', () => {
  const exchange = textOf('exchange.ps1');
  it.each([
    ['an open brace', exchange.replace('return $null\n}', 'return $null\n')],
    ['an open quote', exchange.replace(`"ExternalDirectoryObjectId -eq`, `ExternalDirectoryObjectId -eq`)],
    ['an open parenthesis', exchange.replace('(Get-TenureSetting -Name', 'Get-TenureSetting -Name')],
    ['half a parameter', exchange.replace('[hashtable]$Secrets)', '[hashtable]$Secrets')],
    ['an assignment to nothing', `${exchange}\n$x = \n`],
  ])('finds %s', (_what, broken) => {
    expect(broken).not.toBe(exchange);
    expect(syntaxProblems(broken)).not.toEqual([]);
  });

  const own = callable('exchange.ps1');
  it.each([
    ['Invoke-Expression', 'Invoke-Expression -Command $x', 'command Invoke-Expression'],
    ['its short name', '$x | iex', 'command iex'],
    ['a program', 'whoami.exe', 'command whoami.exe'],
    ['text that becomes code', '[scriptblock]::Create("a")', 'type scriptblock'],
    ['the engine inside the engine', '[System.Management.Automation.PowerShell]::Create()', 'type PowerShell'],
    ['the session’s way to run text', '$ExecutionContext.InvokeCommand.InvokeScript($x)', 'member InvokeCommand'],
    ['a command by value', "& 'x' 1", 'a command by value'],
    ['a command put together', '& ($a + $b)', 'a command by value'],
    ['compiled text', 'Add-Type -TypeDefinition $x', 'parameter -TypeDefinition'],
    ['a printed secret', 'Write-Host $Secrets["secret"]', 'command Write-Host'],
    ['a secret in an answer', '$x = @{ a = $Secrets["secret"] }', 'a secret that goes elsewhere'],
    ['a secret as text', 'Set-Mailbox -Identity $Secrets["secret"]', 'a secret that goes elsewhere'],
    ['a secret in a string', '$x = "a $($Secrets.secret)"', 'a secret that goes elsewhere'],
    ['a secret put into a SecureString the short way', 'Add-Type -AsPlainText $x', 'parameter -AsPlainText'],
    ['another answer', '[Console]::Out.WriteLine("x")', 'writes to the console'],
    ['piped input', 'foreach ($x in $input) { $x }', 'piped input'],
    ['a file', '[System.IO.File]::WriteAllText("a", $x)', 'type File'],
  ])('finds %s', (_what, planted, problem) => {
    const text = `function Get-Planted {\n    param([hashtable]$Secrets)\n    ${planted}\n}\n`;
    expect(syntaxProblems(text)).toEqual([]);
    expect(ruleProblems(text, own)).toContainEqual({ line: 3, what: problem });
  });
});
