import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** The API's metrics: codes and counts, never a value of a person. One registry per app, so that tests do not share it. */
export interface ApiMetrics {
  readonly registry: Registry;
  readonly requests: Histogram<'method' | 'route' | 'status'>;
  readonly records: Counter<'status'>;
  readonly deliveries: Counter<'result'>;
  readonly undelivered: Gauge;
}

export function createMetrics(options: { readonly isProcessWide: boolean } = { isProcessWide: false }): ApiMetrics {
  const registry = new Registry();
  if (options.isProcessWide) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    requests: new Histogram({
      name: 'tenure_http_request_seconds',
      help: 'Duration of API requests.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    records: new Counter({
      name: 'tenure_hr_records_total',
      help: 'HR records by what became of them.',
      labelNames: ['status'],
      registers,
    }),
    deliveries: new Counter({
      name: 'tenure_dispatch_deliveries_total',
      help: 'Messages to identity workflows by result; every failed one is repeated.',
      labelNames: ['result'],
      registers,
    }),
    undelivered: new Gauge({
      name: 'tenure_dispatch_undelivered',
      help: 'People whose workflow does not know their ledger yet.',
      registers,
    }),
  };
}
