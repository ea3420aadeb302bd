/**
 * Lint rules. The boundaries between the layers are written here once more than in test/architecture/layering.test.ts,
 * so that an editor shows them while one types; docs/adr and ARCHITECTURE.md say why they are there.
 */
import { readdirSync } from 'node:fs';
import prettier from 'eslint-config-prettier';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** Folders below src/connectors are connectors, but for what they share. */
const connectorKinds = readdirSync(new URL('./src/connectors', import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'shared')
  .map((entry) => entry.name);

const up = String.raw`^(\.\./)+`;
const layer = (names, message, more = {}) => ({ regex: `${up}(${names.join('|')})/`, message, ...more });
const rootFile = (name, message) => ({ regex: `${up}${name}\\.js$`, message });

/** Layers that nothing below the API and the activities may reach. */
const outer = ['policy', 'hr', 'onboarding', 'report', 'notices', 'api', 'worker', 'cli', 'embedded'];

const connectorsAlone = layer(
  ['workflows', 'activities', 'db', 'planning', ...outer],
  'Connectors know the domain and nothing else of Tenure.',
);

const nest = {
  regex: '^(@nestjs/|fastify$|@fastify/)',
  message: 'NestJS and Fastify belong to src/api alone: everything else must work without them.',
};
const workflowSdk = {
  regex: '^@temporalio/workflow($|/)',
  message:
    'Only workflow code may import @temporalio/workflow; import src/workflows/messages.js for what crosses the boundary.',
};
const workflowCode = {
  regex: `${up}workflows/(?!messages\\.js$)`,
  message: 'Workflow code runs in a sandbox: import its messages.js only; the worker is given the path of the bundle.',
};
const connectorFolders = {
  regex: `${up}connectors/[^/]+/`,
  message: 'Use a connector through src/connectors/registry.js and the Connector interface, never its own folder.',
};
const embedded = {
  regex: `${up}embedded/(?!child\\.js$)`,
  message: 'The embedded stack starts the others; they know of it only embedded/child.js.',
};
const temporal = {
  regex: '^@temporalio/',
  message: 'This layer runs without Temporal: take what you need as a parameter.',
};

const restrictedSyntax = {
  env: {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'process.env is read in src/config.ts only: take the value from Config.',
  },
  envDestructured: {
    selector: "VariableDeclarator[init.name='process'] > ObjectPattern > Property[key.name='env']",
    message: 'process.env is read in src/config.ts only: take the value from Config.',
  },
  now: {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'The domain has no clock: take the instant as a parameter.',
  },
  newDate: {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'The domain has no clock: take the instant as a parameter.',
  },
  temporalNow: {
    selector: "MemberExpression[object.name='Temporal'][property.name='Now']",
    message: 'The domain has no clock: take the instant as a parameter.',
  },
  asyncValidator: {
    selector: "Property[key.name='validator'] > :matches(ArrowFunctionExpression, FunctionExpression)[async=true]",
    message: 'An update validator must be synchronous: an async one is never awaited and stalls the whole workflow.',
  },
  proxies: {
    selector: 'CallExpression[callee.name=/^proxy(Local)?Activities$/]',
    message:
      'Activities are reached through src/workflows/lib/activities.ts, where time-outs and cancellation are decided.',
  },
  exportAll: {
    selector: 'ExportAllDeclaration',
    message: 'Name what you export: export * hides where a name comes from.',
  },
  defaultExport: { selector: 'ExportDefaultDeclaration', message: 'Use a named export.' },
  tsEnum: { selector: 'TSEnumDeclaration', message: 'Use an "as const" object and a union type instead of an enum.' },
};
const { env, envDestructured, now, newDate, temporalNow, asyncValidator, proxies, exportAll, defaultExport, tsEnum } =
  restrictedSyntax;
const everywhere = [asyncValidator, exportAll, defaultExport, tsEnum];

/** One block per layer: each sets both rules anew, because in flat config the last setting of a rule wins. */
function boundary(files, imports, syntax, ignores = []) {
  return {
    files,
    ignores,
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: imports }],
      'no-restricted-syntax': ['error', ...everywhere, ...syntax],
    },
  };
}

const onlyProcess = {
  regex: `${up}domain/(?!process/)`,
  message: 'Workflows see src/domain/process only: zones, CEL, planning and the ledger run in activities (design D9).',
};
const domainOnly = layer(
  [
    'workflows',
    'activities',
    'connectors',
    'db',
    'planning',
    'hr',
    'onboarding',
    'report',
    'notices',
    'api',
    'worker',
    'cli',
    'embedded',
  ],
  'The domain is pure and imports nothing outside src/domain.',
);
const domainPackages = ['temporal-polyfill', 'zod', 'yaml', '@marcbachmann/cel-js', 'transliteration', '@noble/hashes'];

export default tseslint.config(
  { ignores: ['build/', 'node_modules/', '.tenure/', 'coverage/', '**/fixtures/planted/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // An implementation of an asynchronous interface need not wait for anything.
      '@typescript-eslint/require-await': 'off',
      'import-x/no-duplicates': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  boundary(
    ['src/**/*.ts'],
    [nest, workflowSdk, workflowCode, connectorFolders, embedded],
    [env, envDestructured, proxies],
  ),
  boundary(
    ['src/domain/**/*.ts'],
    [
      domainOnly,
      { regex: String.raw`^\.\./\.\./policy/`, message: 'The domain is pure: files of policy are read by src/policy.' },
      rootFile('config', 'The domain takes what it needs as parameters, never from configuration.'),
      {
        regex: `^(?!\\.|(${domainPackages.join('|')})($|/))`,
        message: `The domain is pure: it may use ${domainPackages.join(', ')} and no other package, nor Node's own modules.`,
      },
    ],
    [env, envDestructured, now, newDate, temporalNow, proxies],
  ),
  boundary(
    ['src/domain/process/**/*.ts'],
    [
      {
        regex: '^(?!\\./)',
        message: 'src/domain/process is part of the workflow bundle and imports nothing from outside itself.',
      },
    ],
    [env, envDestructured, now, newDate, temporalNow, proxies],
  ),
  boundary(
    ['src/workflows/**/*.ts'],
    [
      {
        regex: '^(?!\\.|@temporalio/(workflow|common)$)',
        message:
          'Workflow code may import @temporalio/workflow and @temporalio/common and no other package, nor Node’s own modules.',
      },
      onlyProcess,
      layer(['activities'], 'Workflows know activities as types only: use import type.', { allowTypeImports: true }),
      layer(['connectors', 'db', 'planning', ...outer], 'Workflow code reaches the world through activities only.'),
      rootFile('config', 'Workflow code takes configuration as input: reading it would break replay.'),
    ],
    [env, envDestructured, proxies],
  ),
  {
    files: ['src/workflows/lib/activities.ts'],
    rules: { 'no-restricted-syntax': ['error', ...everywhere, env, envDestructured] },
  },
  boundary(
    ['src/activities/**/*.ts'],
    [
      nest,
      workflowSdk,
      workflowCode,
      connectorFolders,
      layer(
        ['api', 'worker', 'cli', 'embedded'],
        'Activities know the domain, the database and connectors, and nothing above them.',
      ),
      rootFile('config', 'Activities are created with what they need: take it from createActivities(deps).'),
    ],
    [env, envDestructured, proxies],
  ),
  boundary(
    ['src/connectors/*.ts', 'src/connectors/shared/**/*.ts'],
    [nest, temporal, connectorsAlone],
    [env, envDestructured, proxies],
  ),
  ...connectorKinds.map((kind) =>
    boundary(
      [`src/connectors/${kind}/**/*.ts`],
      [
        nest,
        temporal,
        connectorsAlone,
        {
          regex: String.raw`^\.\./\.\./config\.js$`,
          message: 'A connector gets its configuration and its secrets handed in.',
        },
        ...connectorKinds
          .filter((other) => other !== kind)
          .map((other) => ({
            regex: `${up}(connectors/)?${other}/`,
            message: 'A connector never imports another connector: what both need belongs to src/connectors/shared.',
          })),
      ],
      [env, envDestructured, proxies],
    ),
  ),
  boundary(
    ['src/db/**/*.ts'],
    [
      nest,
      temporal,
      layer(
        ['workflows', 'activities', 'connectors', 'planning', ...outer],
        'The database layer knows the domain only.',
      ),
      rootFile('config', 'The database layer is handed a connection.'),
    ],
    [env, envDestructured, proxies],
  ),
  boundary(
    [
      'src/planning/**/*.ts',
      'src/policy/**/*.ts',
      'src/hr/**/*.ts',
      'src/onboarding/**/*.ts',
      'src/report/**/*.ts',
      'src/notices/**/*.ts',
    ],
    [
      nest,
      temporal,
      connectorFolders,
      layer(
        ['workflows', 'activities', 'api', 'worker', 'cli', 'embedded'],
        'What the API and the activities share knows the domain, the database and the connectors’ registry, and nothing above them.',
      ),
      rootFile('config', 'What the API and the activities share is handed what it needs.'),
    ],
    [env, envDestructured, proxies],
  ),
  boundary(
    ['src/api/**/*.ts'],
    [
      workflowSdk,
      workflowCode,
      connectorFolders,
      embedded,
      layer(['activities', 'worker', 'cli'], 'The API decides and records; what touches a target runs in the worker.'),
    ],
    [env, envDestructured, proxies],
  ),
  boundary(
    ['src/worker/**/*.ts'],
    [
      nest,
      workflowSdk,
      workflowCode,
      connectorFolders,
      embedded,
      layer(['api', 'cli'], 'The worker and the API are scaled apart.'),
    ],
    [env, envDestructured, proxies],
  ),
  boundary(
    ['src/cli/**/*.ts'],
    [
      nest,
      temporal,
      layer(['workflows', 'activities', 'worker', 'embedded'], 'The command line client talks to the API.'),
    ],
    [env, envDestructured, proxies],
  ),
  {
    // The stack's own programs, and where people read the output, may print.
    files: ['src/cli/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  { files: ['src/config.ts'], rules: { 'no-restricted-syntax': ['error', ...everywhere, proxies] } },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', exportAll, tsEnum],
      // jest's matchers are typed as any, and fakes implement what they need of an interface.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      // Answers over the wire are read as loosely as JSON.parse gives them: what is wrong with one shall fail an expectation.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.base],
    rules: { 'no-unused-vars': 'error', 'no-undef': 'off', eqeqeq: 'error', 'prefer-const': 'error' },
  },
  prettier,
);
