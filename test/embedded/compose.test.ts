import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig } from '../../src/config.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (name: string) => readFileSync(`${root}${name}`, 'utf8');
const service = z.looseObject({
  image: z.string(),
  build: z.string().optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  configs: z.array(z.object({ source: z.string() })).default([]),
  volumes: z.array(z.string()).default([]),
  healthcheck: z.unknown().optional(),
});
const composeFile = z.looseObject({
  services: z.record(z.string(), service),
  configs: z.record(z.string(), z.unknown()),
  volumes: z.record(z.string(), z.unknown()),
});

/** What is wrong in a compose file, as sentences; nothing here starts a container. */
function problems(text: string): readonly string[] {
  const parsed = composeFile.safeParse(parse(text, { merge: true }));
  if (!parsed.success) return parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  const { services, configs, volumes } = parsed.data;
  const found: string[] = [];
  for (const [name, one] of Object.entries(services)) {
    for (const [other, { condition }] of Object.entries(one.depends_on)) {
      if (services[other] === undefined) found.push(`${name} depends on ${other}, which is not there`);
      else if (condition === 'service_healthy' && services[other].healthcheck === undefined) {
        found.push(`${name} waits for ${other} to be healthy, which nothing checks`);
      }
    }
    for (const { source } of one.configs) if (!(source in configs)) found.push(`${name} wants config ${source}`);
    for (const [volume] of one.volumes.map((each) => each.split(':'))) {
      if (volume !== undefined && !volume.startsWith('.') && !(volume in volumes))
        found.push(`${name} wants ${volume}`);
    }
    if (one.build === undefined && !/:[\d.]+$/.test(one.image)) found.push(`${name}'s image has no version`);
  }
  return found;
}

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml');

  it('refers to nothing that is not in it', () => {
    expect(problems(text)).toEqual([]);
  });

  it.each([
    [/temporal-schema: \{ condition/, 'temporal-scheme: { condition', /depends on temporal-scheme, which is not there/],
    [/source: temporal-dynamic-config/, 'source: nowhere', /wants config nowhere/],
    [/postgres:\/var\/lib/, 'data:/var/lib', /wants data/],
    [/image: postgres:18/, 'image: postgres', /image has no version/],
    [/ {4}healthcheck:\n {6}test: \['CMD-SHELL', 'pg_isready/, "    unchecked:\n      test: ['x", /nothing checks/],
  ])('a planted mistake is found: %s', (from, to, expected) => {
    expect(text).toMatch(from);
    expect(problems(text.replace(from, to)).join('\n')).toMatch(expected);
  });

  it('gives API and worker a configuration that Tenure accepts, without the owner’s rights', () => {
    const { services } = composeFile.parse(parse(text, { merge: true }));
    for (const name of ['api', 'worker']) {
      const filled = Object.entries(services[name]?.environment ?? {}).map(([key, value]) => [
        key,
        value.replaceAll(/\$\{\w+:\?\}/g, 'x'),
      ]);
      const config = loadConfig(Object.fromEntries(filled) as Record<string, string>);
      expect(config.temporal).toMatchObject({ mode: 'brought', namespace: 'tenure' });
      expect(config.database.urls.app).toContain('tenure_app');
      expect(config.database.urls.owner).toBeUndefined();
    }
  });

  it('starts programs that are built from sources that exist', () => {
    const entries = [...`${text}${read('Dockerfile')}`.matchAll(/build\/(src\/[a-z/-]+)\.js/g)].map(([, path]) => path);
    expect(new Set(entries)).toEqual(new Set(['src/embedded/setup', 'src/api/main', 'src/worker/main']));
    for (const path of entries) expect(() => read(`${path}.ts`)).not.toThrow();
  });

  it('the Dockerfile copies only what is in the context', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    const ignored = read('.dockerignore').split('\n');
    expect(copied.length).toBeGreaterThan(4);
    for (const name of copied) {
      expect(ignored).not.toContain(name);
      expect(() => readFileSync(`${root}${name}`)).not.toThrow(/ENOENT/);
    }
  });
});
