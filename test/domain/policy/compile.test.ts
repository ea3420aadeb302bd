import { describe, expect, it } from '@jest/globals';
import { createShippedRegistry } from '../../../src/connectors/kinds.js';
import { createRegistry } from '../../../src/connectors/registry.js';
import { manualFactory } from '../../../src/connectors/manual/index.js';
import { compilePolicy } from '../../../src/domain/policy/compile.js';
import type { PolicyFiles, PolicyProblem } from '../../../src/domain/policy/types.js';
import { brand } from '../../../src/domain/process/ids.js';
import type { PolicyVersion } from '../../../src/domain/process/ids.js';
import { connectorChecks } from '../../../src/policy/connector-checks.js';
import { changedFiles, sampleFiles } from '../plan/fixtures.js';

function problemsOf(files: PolicyFiles): readonly PolicyProblem[] {
  const result = compilePolicy(files);
  return result.ok ? [] : result.problems;
}

/** The only problem after one replacement in one file; fails when there is none or another one. */
function problem(file: string, from: string, to: string): PolicyProblem {
  const problems = problemsOf(changedFiles({ [file]: [[from, to]] }));
  expect(problems).toHaveLength(1);
  return problems[0] as PolicyProblem;
}

function lineOf(file: string, text: string): number {
  const lines = sampleFiles.find((one) => one.path === file)?.text.split('\n') ?? [];
  return lines.findIndex((line) => line.includes(text)) + 1;
}

describe('compilePolicy', () => {
  it('gives the same policy and hash for the same files in any order, and another hash for another text', () => {
    const one = compilePolicy(sampleFiles);
    const other = compilePolicy([...sampleFiles].reverse(), { version: brand<PolicyVersion>(3) });
    if (!one.ok || !other.ok) {
      throw new Error('the sample must compile');
    }
    expect(other.policy.hash).toBe(one.policy.hash);
    expect([one.policy.version, other.policy.version]).toEqual([0, 3]);
    expect(other.policy.applications.map((application) => application.slug)).toEqual([
      'badge',
      'directory',
      'erp',
      'wiki',
    ]);
    const changed = compilePolicy(changedFiles({ 'lifecycle.yaml': [['leadTimeDays: 3', 'leadTimeDays: 4']] }));
    expect(changed.ok && changed.policy.hash).not.toBe(one.policy.hash);
  });

  it('can be rebuilt from its own stored files', () => {
    const one = compilePolicy(sampleFiles);
    const stored: unknown = one.ok ? JSON.parse(JSON.stringify(one.policy.files)) : [];
    const again = compilePolicy(stored as PolicyFiles);
    expect(again.ok && again.policy.hash).toBe(one.ok && one.policy.hash);
  });

  it('turns durations into milliseconds', () => {
    const result = compilePolicy(sampleFiles);
    const tiers = result.ok ? result.policy.lifecycle.tiers : undefined;
    expect([tiers?.T1.deadlineMs, tiers?.T2.deadlineMs, tiers?.T3.deadlineMs, tiers?.T4.deadlineMs]).toEqual([
      60_000, 3_600_000, 86_400_000, 604_800_000,
    ]);
  });

  it('reports all problems at once, in order of file and line', () => {
    const problems = problemsOf(
      changedFiles({
        'roles/sales.yaml': [['"Sales"', '7']],
        'lifecycle.yaml': [
          ['leadTimeDays: 3', 'leadTimeDays: soon'],
          ['deadline: 60s', 'deadline: 60'],
        ],
      }),
    );
    expect(problems.map((one) => [one.file, one.line])).toEqual([
      ['lifecycle.yaml', 2],
      ['lifecycle.yaml', 5],
      ['roles/sales.yaml', 4],
    ]);
  });
});

describe('expressions name file, line, expression and what was expected', () => {
  const RULE = 'when: employment.department == "Engineering"';
  const rule = (expression: string): PolicyProblem => problem('roles/engineering.yaml', RULE, `when: ${expression}`);

  it.each([
    ['employment.departmnt == "Engineering"', /No such key: departmnt/, /declared field/],
    ['employment.department == 7', /no such overload: string == int/, /operands of one type/],
    ['employment.department', /gives string/, /gives bool/],
    ['staff.department == "x"', /Unknown variable: staff/, /one of .*employment/],
    ['manager.mail == "x"', /Unknown variable: manager/, /one of/],
    ['employment.department ==', /Unexpected token/, /CEL expression/],
    ['has(employment.department)', /has\(\) is always true/, /comparison with ""/],
    ['employment.custom[employment.title] == "x"', /without its name/, /employment\.custom\.NAME/],
  ])('%s', (expression, message, expected) => {
    const found = rule(expression);
    expect(found).toMatchObject({ file: 'roles/engineering.yaml', line: 4, path: 'when', expression });
    expect(found.message).toMatch(message);
    expect(found.expected).toMatch(expected);
  });

  it('names the line inside an expression of several lines', () => {
    const found = problem(
      'roles/engineering.yaml',
      RULE,
      'when: |-\n  employment.department == "Engineering" &&\n  employment.worker == "employee" &&\n  employment.nope == ""',
    );
    expect(found.line).toBe(7);
  });

  it('checks mappings, logins and user-name patterns against their own variables', () => {
    const directory = 'applications/directory.yaml';
    expect(problem(directory, 'title: person.title', 'title: name.given')).toMatchObject({
      line: lineOf(directory, 'title: person.title'),
      path: 'attributes.title',
      message: 'Unknown variable: name',
    });
    expect(problem(directory, 'login: account.userName', 'login: account.userName == ""').expected).toMatch(/string/);
    expect(problem('lifecycle.yaml', 'name.givenInitial + name.family', 'person.givenName')).toMatchObject({
      path: 'userNames.patterns.1',
      line: lineOf('lifecycle.yaml', 'name.givenInitial'),
    });
  });
});

describe('what is wrong between and inside files', () => {
  const directory = 'applications/directory.yaml';

  it('unknown application in a role and in dependencies', () => {
    expect(problem('roles/sales.yaml', 'application: erp', 'application: epr')).toMatchObject({
      line: 7,
      message: 'there is no application "epr"',
      expected: expect.stringContaining('erp'),
    });
    expect(problem('applications/wiki.yaml', 'dependsOn: [directory]', 'dependsOn: [dir]').message).toContain('"dir"');
  });

  it('circle of dependencies', () => {
    const found = problem(directory, 'mode: sync', 'mode: sync\ndependsOn: [erp]');
    expect(found.message).toMatch(/circle: (directory -> erp -> directory|erp -> directory -> erp)/);
  });

  it('duplicate slug, duplicate grant, duplicate key', () => {
    const twice = problemsOf([
      ...sampleFiles,
      { path: 'roles/zz.yaml', text: sampleFiles.find((one) => one.path === 'roles/sales.yaml')?.text ?? '' },
    ]);
    expect(twice).toMatchObject([
      { file: 'roles/zz.yaml', line: 2, message: expect.stringContaining('roles/sales.yaml') },
    ]);
    const grant = '{ application: directory, entitlement: sales }';
    expect(problem('roles/sales.yaml', grant, `${grant}\n  - ${grant}`).message).toContain('twice');
    expect(problem(directory, 'mode: sync', 'mode: sync\nmode: jit').message).toMatch(/unique/i);
  });

  it.each([
    ['token: env:TENURE_SANDBOX_SCIM_TOKEN', 'token: hunter2-marker'],
    ['baseUrl: env:TENURE_SANDBOX_SCIM_URL', 'baseUrl: https://scim:hunter2-marker@localhost/v2'],
    ['secret: attribute', 'secret: hunter2-marker'],
    ['archive: { userType: archived }', 'archive: { clientSecret: hunter2-marker }'],
  ])('secret in clear text instead of %s, without showing it', (from, to) => {
    const found = problem(directory, from, to);
    expect(found.message).toContain('clear text');
    expect(found.line).toBe(lineOf(directory, from));
    expect(JSON.stringify(found)).not.toContain('hunter2-marker');
  });

  it('takes a reference to Vault, and names what is wrong with the form of one, without showing it', () => {
    const from = 'token: env:TENURE_SANDBOX_SCIM_TOKEN';
    const connectors = connectorChecks(createShippedRegistry());
    const withToken = (token: string) => changedFiles({ [directory]: [[from, `token: ${token}`]] });
    expect(compilePolicy(withToken('vault:kv/directory/tenure#token'), { connectors }).ok).toBe(true);
    for (const [wrong, words] of [
      ['vault:kv/hunter2-marker', 'the field is missing'],
      ['vault:hunter2-marker#token', 'mount and path are needed'],
      ['vault:/kv/hunter2-marker#token', 'without a slash before it'],
      ['vault:kv/../hunter2-marker#token', 'a part of the path'],
      ['vault:kv/hunter2-marker#', 'the field after #'],
    ] as const) {
      const found = problem(directory, from, `token: ${wrong}`);
      expect(found).toMatchObject({
        line: lineOf(directory, from),
        path: 'config.token',
        expected: 'vault:MOUNT/PATH#FIELD',
      });
      expect(found.message).toContain(words);
      expect(JSON.stringify(found)).not.toContain('hunter2-marker');
      // The connector's own schema does not say the same again.
      const checked = compilePolicy(withToken(wrong), { connectors });
      expect(checked.ok ? [] : checked.problems).toEqual([found]);
    }
  });

  it('grant without application, unknown key, misplaced file, missing lifecycle', () => {
    expect(
      problem('roles/sales.yaml', '{ application: erp, entitlement: orders }', '{ entitlement: orders }'),
    ).toMatchObject({
      line: 7,
      path: 'grants.1.application',
      expected: 'string',
    });
    expect(problem('roles/sales.yaml', 'name: Sales', 'name: Sales\ncutOnNotice: true')).toMatchObject({
      line: 4,
      message: 'unknown key "cutOnNotice"',
    });
    expect(problemsOf([...sampleFiles, { path: 'role.yaml', text: 'slug: x' }])).toMatchObject([{ file: 'role.yaml' }]);
    const without = sampleFiles.filter((one) => one.path !== 'lifecycle.yaml');
    expect(problemsOf(without)).toMatchObject([{ file: 'lifecycle.yaml', message: 'the file is missing' }]);
  });

  it('correlation by something that changes or is not mapped', () => {
    const strong = 'strong: [externalId, enterprise.employeeNumber]';
    expect(problem(directory, strong, 'strong: [login]').message).toBe('"login" can change');
    expect(problem(directory, strong, 'strong: [displayName]').message).toBe('"displayName" can change');
    expect(problem(directory, strong, 'strong: [badgeNumber]').message).toBe('"badgeNumber" is not mapped');
  });

  it('manual mode and connector apart, deletion before archive, namesakes without a counter', () => {
    expect(problem('applications/badge.yaml', 'mode: manual', 'mode: sync').path).toBe('mode');
    expect(problem('lifecycle.yaml', 'deleteAfterDays: 90', 'deleteAfterDays: 9').expected).toBe('at least 30');
    const counter = 'name.given + "." + name.family + string(n)';
    expect(problem('lifecycle.yaml', counter, 'name.family').message).toContain('counter');
  });

  it('broken YAML, with its line and nothing else about the file', () => {
    const found = problem('roles/sales.yaml', 'name: Sales', 'name: "Sales');
    expect(found.file).toBe('roles/sales.yaml');
    expect(found.line).toBeGreaterThanOrEqual(3);
    expect(found.expected).toContain('YAML');
  });

  it("a connector's configuration, where the registry is given", () => {
    const checks = connectorChecks(createRegistry([manualFactory]));
    const files = changedFiles({ 'applications/badge.yaml': [['system:', 'sistem:']] });
    const result = compilePolicy(files, { connectors: checks });
    const found = result.ok ? [] : result.problems;
    expect(found.map((one) => [one.file, one.path, one.line])).toEqual(
      expect.arrayContaining([
        ['applications/badge.yaml', 'config.system', 6],
        ['applications/directory.yaml', 'connector', 4],
      ]),
    );
    expect(found.find((one) => one.path === 'connector')?.expected).toBe('one of manual');
  });
});
