import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import ts from 'typescript';

/** A source file by its path in the project, always with forward slashes: `src/domain/hash.ts`. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly rule: LayerRule;
  readonly path: string;
  readonly what: string;
}

interface Import {
  /** Path in the project for a relative import, the package or Node module otherwise. */
  readonly target: string;
  readonly isLocal: boolean;
  readonly isTypeOnly: boolean;
}

interface File extends SourceText {
  readonly imports: readonly Import[];
  readonly tree: ts.SourceFile;
}

type Check = (file: File) => readonly string[];

const domainPackages = ['temporal-polyfill', 'zod', 'yaml', '@marcbachmann/cel-js', 'transliteration', '@noble/hashes'];

/** Every rule of the layers, checked on the import graph and the syntax tree themselves, apart from the lint rules. */
const checks = {
  'domain imports nothing outside domain': inside('src/domain/', (file) =>
    imports(file, (to) => (to.isLocal ? !to.target.startsWith('src/domain/') : !isPackage(to, domainPackages))),
  ),
  'domain/process imports nothing at all': inside('src/domain/process/', (file) =>
    imports(file, (to) => !to.isLocal || !to.target.startsWith('src/domain/process/')),
  ),
  'domain has no clock': inside('src/domain/', clocks),
  'workflows import the SDK only': inside('src/workflows/', (file) =>
    imports(file, (to) => !to.isLocal && !['@temporalio/workflow', '@temporalio/common'].includes(to.target)),
  ),
  'workflows see domain/process only': inside('src/workflows/', (file) =>
    imports(file, (to) => to.target.startsWith('src/domain/') && !to.target.startsWith('src/domain/process/')),
  ),
  'workflows know activities as types': inside('src/workflows/', (file) =>
    imports(file, (to) => to.target.startsWith('src/activities/') && !to.isTypeOnly),
  ),
  'workflows reach nothing else': inside('src/workflows/', (file) =>
    imports(file, (to) => to.isLocal && !/^src\/(workflows|domain|activities)\//.test(to.target)),
  ),
  'workflow code stays in workflows': outside('src/workflows/', (file) =>
    imports(
      file,
      (to) =>
        isPackage(to, ['@temporalio/workflow']) ||
        (to.target.startsWith('src/workflows/') && to.target !== 'src/workflows/messages.ts'),
    ),
  ),
  'activities know nothing above them': inside('src/activities/', (file) =>
    imports(
      file,
      (to) =>
        to.isLocal &&
        !/^src\/(activities|domain|db|connectors|workflows|planning|policy|hr|onboarding|report|notices)\//.test(
          to.target,
        ),
    ),
  ),
  'a connector never imports another': inside('src/connectors/', (file) => {
    const own = connectorOf(file.path);
    if (own === undefined) return [];
    return imports(file, (to) => ![undefined, own].includes(connectorOf(to.target)));
  }),
  'connectors know the domain only': inside('src/connectors/', (file) =>
    imports(file, (to) =>
      to.isLocal ? !/^src\/(connectors|domain)\//.test(to.target) : /^@temporalio\//.test(to.target),
    ),
  ),
  'connectors are used through the registry': outside('src/connectors/', (file) =>
    imports(file, (to) => connectorOf(to.target) !== undefined),
  ),
  'db knows the domain only': inside('src/db/', (file) =>
    imports(file, (to) => (to.isLocal ? !/^src\/(db|domain)\//.test(to.target) : /^@temporalio\//.test(to.target))),
  ),
  'shared services know nothing above them': (file) =>
    /^src\/(planning|policy|hr|onboarding|report|notices)\//.test(file.path)
      ? imports(file, (to) =>
          to.isLocal
            ? !/^src\/(planning|policy|hr|onboarding|report|notices|domain|db|connectors)\//.test(to.target)
            : isPackage(to, ['@temporalio']),
        )
      : [],
  'api does not touch targets': inside('src/api/', (file) =>
    imports(file, (to) => /^src\/(activities|worker|cli)\//.test(to.target)),
  ),
  'worker and api are apart': inside('src/worker/', (file) =>
    imports(file, (to) => /^src\/(api|cli)\//.test(to.target)),
  ),
  'cli talks to the api': inside('src/cli/', (file) =>
    imports(
      file,
      (to) => /^src\/(workflows|activities|worker|embedded)\//.test(to.target) || isPackage(to, ['@temporalio']),
    ),
  ),
  'nest in api alone': outside('src/api/', (file) =>
    imports(file, (to) => isPackage(to, ['@nestjs', 'fastify', '@fastify'])),
  ),
  'embedded is on top': outside('src/embedded/', (file) =>
    imports(file, (to) => to.target.startsWith('src/embedded/') && to.target !== 'src/embedded/child.ts'),
  ),
  'process.env in config only': (file) => (file.path === 'src/config.ts' ? [] : readsEnvironment(file)),
  'validators are synchronous': asyncValidators,
  'activities are proxied in one place': (file) =>
    file.path === 'src/workflows/lib/activities.ts' ? [] : proxies(file),
} satisfies Readonly<Record<string, Check>>;

export type LayerRule = keyof typeof checks;
export const layerRules = Object.keys(checks) as readonly LayerRule[];

/** All violations in these files; an import is resolved by its path, whatever is at the other end. */
export function findViolations(sources: readonly SourceText[]): readonly Violation[] {
  return sources
    .map(parse)
    .flatMap((file) =>
      layerRules.flatMap((rule) => checks[rule](file).map((what) => ({ rule, path: file.path, what }))),
    );
}

/** Every TypeScript file below a folder of the project. */
export function readSources(root: string, folder: string): readonly SourceText[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }));
}

function parse(source: SourceText): File {
  const tree = ts.createSourceFile(source.path, source.text, ts.ScriptTarget.ES2023, true);
  const found: Import[] = [];
  walk(tree, (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
      found.push(resolve(source.path, (node.moduleSpecifier as ts.StringLiteral).text, isTypeOnly(node)));
    }
    const argument =
      ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined;
    if (argument !== undefined && ts.isStringLiteral(argument)) found.push(resolve(source.path, argument.text, false));
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      found.push(resolve(source.path, node.argument.literal.text, true));
    }
  });
  return { ...source, tree, imports: found };
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  // "import { type A }" leaves an import behind under verbatimModuleSyntax, so it counts as one of values.
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function resolve(from: string, specifier: string, isTypeOnly: boolean): Import {
  if (!specifier.startsWith('.')) return { target: specifier, isLocal: false, isTypeOnly };
  const target = posix.normalize(posix.join(dirname(from), specifier)).replace(/\.js$/, '.ts');
  return { target, isLocal: true, isTypeOnly };
}

function imports(file: File, isForbidden: (to: Import) => boolean): readonly string[] {
  return file.imports.filter(isForbidden).map((to) => `imports ${to.target}`);
}

function isPackage(to: Import, names: readonly string[]): boolean {
  return !to.isLocal && names.some((name) => to.target === name || to.target.startsWith(`${name}/`));
}

/** The connector whose folder a path is in; undefined for shared files and everything else. */
function connectorOf(path: string): string | undefined {
  const [, kind] = /^src\/connectors\/([^/]+)\//.exec(path) ?? [];
  return kind === 'shared' ? undefined : kind;
}

function inside(folder: string, check: Check): Check {
  return (file) => (file.path.startsWith(folder) ? check(file) : []);
}

function outside(folder: string, check: Check): Check {
  return (file) => (file.path.startsWith(folder) ? [] : check(file));
}

function clocks(file: File): readonly string[] {
  return collect(file, (node) => {
    if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0)
      return 'new Date()';
    if (ts.isPropertyAccessExpression(node) && /^(Date\.now|Temporal\.Now)$/.test(node.getText()))
      return node.getText();
    return undefined;
  });
}

function readsEnvironment(file: File): readonly string[] {
  return collect(file, (node) => {
    if (ts.isPropertyAccessExpression(node) && node.getText() === 'process.env') return 'process.env';
    if (
      ts.isVariableDeclaration(node) &&
      node.initializer?.getText() === 'process' &&
      ts.isObjectBindingPattern(node.name)
    ) {
      return node.name.elements.some((each) => (each.propertyName ?? each.name).getText() === 'env')
        ? 'process.env'
        : undefined;
    }
    return undefined;
  });
}

function asyncValidators(file: File): readonly string[] {
  const isAsync = (node: ts.Node) =>
    ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some((each) => each.kind === ts.SyntaxKind.AsyncKeyword) === true;
  return collect(file, (node) => {
    if (ts.isMethodDeclaration(node) && node.name.getText() === 'validator' && isAsync(node)) return 'async validator';
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'validator' && isAsync(node.initializer))
      return 'async validator';
    return undefined;
  });
}

function proxies(file: File): readonly string[] {
  return collect(file, (node) =>
    ts.isCallExpression(node) && /^proxy(Local)?Activities$/.test(node.expression.getText())
      ? node.expression.getText()
      : undefined,
  );
}

function collect(file: File, pick: (node: ts.Node) => string | undefined): readonly string[] {
  const found: string[] = [];
  walk(file.tree, (node) => {
    const what = pick(node);
    if (what !== undefined) found.push(what);
  });
  return found;
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}
