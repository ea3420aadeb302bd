import type { z } from 'zod';
import type { Connector, ConnectorDescriptor, ConnectorLogger } from './connector.js';
import { ConnectorConfigError } from './errors.js';
import type { SecretResolver } from './secret.js';

export interface ConnectorDeps {
  readonly secrets: SecretResolver;
  readonly logger: ConnectorLogger;
}

export interface ConnectorFactory {
  readonly kind: string;
  readonly descriptor: ConnectorDescriptor;
  readonly configSchema: z.ZodType;
  /**
   * Makes the connector of one application; opens no connection. Throws ConnectorConfigError naming all problems, or
   * SecretReferenceError.
   */
  create(application: string, config: unknown, deps: ConnectorDeps): Connector;
}

export interface ConnectorRegistry {
  kinds(): readonly string[];
  descriptors(): readonly ConnectorDescriptor[];
  /** The problems of a configuration, as `path: message`; empty when it is right. For `tenure policy check`. */
  check(kind: string, config: unknown): readonly string[];
  /** Throws ConnectorConfigError when the kind is not known or the configuration is wrong. */
  create(kind: string, application: string, config: unknown, deps: ConnectorDeps): Connector;
}

/** Builds the registry from explicit factories; a second factory of the same kind is refused. */
export function createRegistry(factories: readonly ConnectorFactory[]): ConnectorRegistry {
  const byKind = new Map<string, ConnectorFactory>();
  for (const factory of factories) {
    if (byKind.has(factory.kind)) {
      throw new Error(`connector kind ${factory.kind} is registered twice`);
    }
    byKind.set(factory.kind, factory);
  }
  const unknownKind = (kind: string): string =>
    `connector kind ${kind} is not known; known are ${[...byKind.keys()].join(', ')}`;
  return {
    kinds: () => [...byKind.keys()],
    descriptors: () => [...byKind.values()].map((factory) => factory.descriptor),
    check: (kind, config) => {
      const factory = byKind.get(kind);
      return factory === undefined ? [unknownKind(kind)] : configProblems(factory.configSchema, config);
    },
    create: (kind, application, config, deps) => {
      const factory = byKind.get(kind);
      if (factory === undefined) {
        throw new ConnectorConfigError(application, [unknownKind(kind)]);
      }
      return factory.create(application, config, deps);
    },
  };
}

/** All problems of a configuration against its schema, as `path: message`. */
export function configProblems(schema: z.ZodType, config: unknown): readonly string[] {
  const parsed = schema.safeParse(config);
  if (parsed.success) {
    return [];
  }
  return parsed.error.issues.map(
    (issue) => `${issue.path.length === 0 ? '(root)' : issue.path.join('.')}: ${messageOf(issue)}`,
  );
}

/** zod says of a key that is not there that it "received undefined". */
function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
    ? `is missing (${issue.expected})`
    : issue.message;
}

/** Parses an application's configuration; throws ConnectorConfigError naming every problem. */
export function parseConfig<T>(schema: z.ZodType<T>, application: string, config: unknown): T {
  const parsed = schema.safeParse(config);
  if (!parsed.success) {
    throw new ConnectorConfigError(application, configProblems(schema, config));
  }
  return parsed.data;
}
