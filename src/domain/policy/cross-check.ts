import type { ReadPolicy, SourcedFile } from './read-files.js';
import type { ApplicationFile, LifecycleFile, RoleFile } from './schemas.js';
import { isSecretReference, REFERENCE_FORMS, vaultReferenceProblem } from './secret-reference.js';
import type { PolicyProblem } from './types.js';
import type { YamlPath } from './yaml-source.js';

/** Checks a connector configuration as written (references unresolved): every complaint with its path inside `config`. */
export type ConfigCheck = (config: unknown) => readonly { readonly path: YamlPath; readonly message: string }[];

/** What no single file can tell: references, duplicates, cycles, secrets in clear text, configurations. Pure. */
export function crossCheck(
  read: ReadPolicy,
  connectors: ReadonlyMap<string, ConfigCheck> | undefined,
): PolicyProblem[] {
  return [
    ...duplicates([...read.applications], 'application'),
    ...duplicates([...read.roles], 'role'),
    ...read.applications.flatMap((file) => applicationProblems(file, read, connectors)),
    ...cycles(read.applications),
    ...read.roles.flatMap((file) => roleProblems(file, read)),
    ...(read.lifecycle ? lifecycleProblems(read.lifecycle) : []),
  ];
}

function problemAt(file: SourcedFile<unknown>, path: YamlPath, message: string, expected: string): PolicyProblem {
  return { file: file.source.path, line: file.source.lineOf(path), path: path.join('.'), message, expected };
}

function duplicates(files: readonly SourcedFile<{ readonly slug: string }>[], noun: string): PolicyProblem[] {
  const seen = new Map<string, string>();
  return files.flatMap((file) => {
    const first = seen.get(file.value.slug);
    seen.set(file.value.slug, first ?? file.source.path);
    return first === undefined
      ? []
      : [
          problemAt(
            file,
            ['slug'],
            `the ${noun} "${file.value.slug}" is defined in ${first} already`,
            'a slug of its own',
          ),
        ];
  });
}

function applicationProblems(
  file: SourcedFile<ApplicationFile>,
  read: ReadPolicy,
  connectors: ReadonlyMap<string, ConfigCheck> | undefined,
): PolicyProblem[] {
  const { value } = file;
  const known = new Set(read.applications.map((other) => other.value.slug));
  const problems = value.dependsOn.flatMap((other, index) =>
    known.has(other) || read.isApplicationMissing ? [] : [unknownApplication(file, ['dependsOn', index], other, known)],
  );
  const keys = new Set(['login', ...Object.keys(value.attributes)]);
  for (const strength of ['strong', 'weak'] as const) {
    value.correlation[strength].forEach((key, index) => {
      if (!keys.has(key)) {
        const expected = `login or a mapped attribute: ${[...keys].join(', ')}`;
        problems.push(problemAt(file, ['correlation', strength, index], `"${key}" is not mapped`, expected));
      }
    });
  }
  problems.push(...mutableKeyProblems(file));
  if ((value.mode === 'manual') !== (value.connector === 'manual')) {
    const expected = 'mode manual with connector manual, and no other combination of the two';
    problems.push(problemAt(file, ['mode'], `mode ${value.mode} with connector ${value.connector}`, expected));
  }
  problems.push(...serviceSecretProblems(file));
  const secrets = secretProblems(file, ['config'], value.config);
  // What is said of a secret already is not said again, in other words, by the connector's schema.
  const said = new Set(secrets.map((one) => one.path));
  const others = configProblems(file, connectors).filter((one) => !said.has(one.path));
  return [...problems, ...secrets, ...others];
}

/** A service's secret is never written down here, only where it is kept. */
function serviceSecretProblems(file: SourcedFile<ApplicationFile>): PolicyProblem[] {
  return Object.entries(file.value.serviceAccounts?.secrets ?? {}).flatMap(([login, reference]) =>
    isSecretReference(reference)
      ? []
      : [problemAt(file, ['serviceAccounts', 'secrets', login], 'it is not a reference to a secret', REFERENCE_FORMS)],
  );
}

const STABLE_FIELD = /\b(person\.id|(person|employment)\.(employeeNumber|custom\.\w+|custom\["[^"]+"\]))\b/;
const CHANGING_FIELD = /\b(account|manager)\.|\b(person|employment)\.(?!id\b|employeeNumber\b|custom\b)/;

/** A strong key links without asking, so it must not be something that changes with a name or a job (edge case 24). */
function mutableKeyProblems(file: SourcedFile<ApplicationFile>): PolicyProblem[] {
  return file.value.correlation.strong.flatMap((key, index) => {
    const expression = key === 'login' ? file.value.login : file.value.attributes[key];
    const isStable = expression === undefined || (STABLE_FIELD.test(expression) && !CHANGING_FIELD.test(expression));
    const expected = 'a key made from person.id, an employee number or a custom attribute; others are weak keys';
    return isStable ? [] : [problemAt(file, ['correlation', 'strong', index], `"${key}" can change`, expected)];
  });
}

function configProblems(
  file: SourcedFile<ApplicationFile>,
  connectors: ReadonlyMap<string, ConfigCheck> | undefined,
): PolicyProblem[] {
  if (connectors === undefined) {
    return [];
  }
  const check = connectors.get(file.value.connector);
  if (check === undefined) {
    const expected = `one of ${[...connectors.keys()].join(', ')}`;
    return [problemAt(file, ['connector'], `there is no connector "${file.value.connector}"`, expected)];
  }
  return check(file.value.config).map(({ path, message }) =>
    problemAt(
      file,
      ['config', ...path],
      message,
      `what the ${file.value.connector} connector's configuration schema says`,
    ),
  );
}

function unknownApplication(
  file: SourcedFile<unknown>,
  path: YamlPath,
  slug: string,
  known: ReadonlySet<string>,
): PolicyProblem {
  return problemAt(file, path, `there is no application "${slug}"`, `one of ${[...known].join(', ')}`);
}

const SECRET_KEY = /(secret|password|passwd|passphrase|token|api_?key|private_?key|credentials?)$/i;
/** Settings that say how a secret is carried, not what it is. */
const SETTINGS: ReadonlySet<unknown> = new Set(['none', 'auto', 'attribute', 'modify', 'exop']);
/** Where texts are names of commands or CEL over what a request is handed (`password: secret`): a secret can stand there as a quoted literal only. */
const EXPRESSIONS: Readonly<Record<string, ReadonlySet<unknown>>> = {
  rest: new Set(['accounts', 'attributes', 'operations', 'groups', 'sessions', 'credentials', 'owned', 'signIn']),
  powershell: new Set(['operations']),
};
const LITERAL = /^\s*(["']).*\1\s*$/s;
const URL_WITH_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/@\s]*:[^/@\s]+@/i;

/** Finds values that look like secrets and are not references. The value itself never gets into the message. */
function secretProblems(file: SourcedFile<ApplicationFile>, path: YamlPath, value: unknown): PolicyProblem[] {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, member]) =>
      secretProblems(file, [...path, Array.isArray(value) ? Number(key) : key], member),
    );
  }
  if (typeof value !== 'string') return [];
  const misspelt = vaultReferenceProblem(value);
  if (misspelt !== undefined) return [problemAt(file, path, misspelt, 'vault:MOUNT/PATH#FIELD')];
  const key = path.findLast((part) => typeof part === 'string') ?? '';
  const isValue = EXPRESSIONS[file.value.connector]?.has(path[1]) === true ? LITERAL.test(value) : !SETTINGS.has(value);
  const isSecret = SECRET_KEY.test(String(key)) && !isSecretReference(value) && isValue;
  return isSecret || URL_WITH_PASSWORD.test(value)
    ? [problemAt(file, path, 'a secret stands here in clear text', `a reference: ${REFERENCE_FORMS}`)]
    : [];
}

function cycles(applications: readonly SourcedFile<ApplicationFile>[]): PolicyProblem[] {
  const bySlug = new Map(applications.map((file) => [file.value.slug, file]));
  const done = new Set<string>();
  const problems: PolicyProblem[] = [];
  const visit = (slug: string, trail: readonly string[]): void => {
    const file = bySlug.get(slug);
    if (!file || done.has(slug)) {
      return;
    }
    const at = trail.indexOf(slug);
    if (at >= 0) {
      const circle = [...trail.slice(at), slug].join(' -> ');
      problems.push(
        problemAt(file, ['dependsOn'], `the dependencies form a circle: ${circle}`, 'dependencies without a circle'),
      );
      return;
    }
    file.value.dependsOn.forEach((other) => visit(other, [...trail, slug]));
    done.add(slug);
  };
  applications.forEach((file) => visit(file.value.slug, []));
  return problems;
}

function roleProblems(file: SourcedFile<RoleFile>, read: ReadPolicy): PolicyProblem[] {
  const known = new Set(read.applications.map((other) => other.value.slug));
  const seen = new Set<string>();
  return file.value.grants.flatMap((grant, index) => {
    const path = ['grants', index, 'application'];
    const key = `${grant.application}/${grant.entitlement ?? ''}`;
    if (!known.has(grant.application)) {
      return read.isApplicationMissing ? [] : [unknownApplication(file, path, grant.application, known)];
    }
    if (seen.has(key)) {
      return [problemAt(file, path, 'the same grant stands here twice', 'each grant once')];
    }
    seen.add(key);
    return [];
  });
}

function lifecycleProblems(file: SourcedFile<LifecycleFile>): PolicyProblem[] {
  const { archiveAfterDays, deleteAfterDays, userNames } = file.value;
  const problems: PolicyProblem[] = [];
  if (deleteAfterDays < archiveAfterDays) {
    problems.push(problemAt(file, ['deleteAfterDays'], 'delete comes before archive', `at least ${archiveAfterDays}`));
  }
  if (!userNames.patterns.some((pattern) => /\bn\b/.test(pattern))) {
    const expected = 'a last pattern that reads n, so that namesakes find a name';
    problems.push(problemAt(file, ['userNames', 'patterns'], 'no pattern uses the counter n', expected));
  }
  return problems;
}
