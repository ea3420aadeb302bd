import { z } from 'zod';
import type { Connector, ConnectorDescriptor } from '../connector.js';
import type { ConnectorDeps, ConnectorFactory } from '../registry.js';
import { parseConfig } from '../registry.js';

/** What a kind says of itself; the JSON Schema is made from what its configuration is checked against. Pure. */
export function describeKind(kind: string, title: string, configSchema: z.ZodType): ConnectorDescriptor {
  return { kind, version: '1', title, configSchema: z.toJSONSchema(configSchema, { io: 'input' }) };
}

/** The factory of a kind: `make` gets only configurations that keep the schema. Raises ConnectorConfigError, and what `make` raises. */
export function factoryOf<T>(
  descriptor: ConnectorDescriptor,
  configSchema: z.ZodType<T>,
  make: (application: string, config: T, deps: ConnectorDeps) => Connector,
): ConnectorFactory {
  return {
    kind: descriptor.kind,
    descriptor,
    configSchema,
    create: (application, rawConfig, deps) =>
      make(application, parseConfig(configSchema, application, rawConfig), deps),
  };
}
