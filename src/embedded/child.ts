/** The supervisor's side of a Node child's life, for the child: API, worker and sandbox targets use it. */

/** What a child says when it can be used; `env` is handed to the children that are started after it. */
export interface ReadyMessage {
  readonly ready: true;
  readonly env?: Readonly<Record<string, string>>;
  readonly [detail: string]: unknown;
}

/** Tells the supervisor that this process can be used. Does nothing when there is no supervisor. */
export function reportReady(details: Readonly<Record<string, unknown>> = {}): void {
  process.send?.({ ready: true, ...details });
}

/**
 * Calls `stop` once, when this process is told to end (SIGTERM, SIGINT) or when the supervisor is gone, even suddenly.
 * The process ends by itself when `stop` has settled: 0, or 1 when it failed.
 */
export function onStop(stop: () => Promise<void>): void {
  let isStopping = false;
  const begin = () => {
    if (isStopping) return;
    isStopping = true;
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', begin);
  process.on('SIGINT', begin);
  process.on('disconnect', begin);
  // The supervisor may have died before we listened.
  if (process.send !== undefined && !process.connected) begin();
}
