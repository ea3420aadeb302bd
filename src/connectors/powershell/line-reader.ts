export type Taken =
  { readonly line: string; readonly why?: undefined } | { readonly line?: undefined; readonly why: string };

/** Cuts a stream into lines for one reader at a time. Lines that nobody asked for break it once the first request is out. */
export class LineReader {
  readonly #maxBytes: number;
  readonly #lines: string[] = [];
  #rest: Buffer[] = [];
  #restBytes = 0;
  #over: string | undefined;
  #waiting: ((taken: Taken) => void) | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** A line that no request waits for is here, or the stream is over: what comes next answers nothing. */
  get isBroken(): boolean {
    return this.#over !== undefined || this.#lines.length > 0 || this.#restBytes > 0;
  }

  feed(bytes: Buffer): void {
    if (this.#over !== undefined) return;
    let from = 0;
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
      this.#rest.push(bytes.subarray(from, at));
      this.#lines.push(Buffer.concat(this.#rest).toString('utf8').replace(/\r$/, ''));
      this.#rest = [];
      this.#restBytes = 0;
      from = at + 1;
    }
    if (from < bytes.length) {
      this.#rest.push(bytes.subarray(from));
      this.#restBytes += bytes.length - from;
    }
    if (this.#restBytes > this.#maxBytes) this.end('answer-too-long');
    this.#serve();
  }

  end(why: string): void {
    this.#over ??= why;
    this.#serve();
  }

  /** The next line; `why` is `time` when the signal came first, else what ended the stream. */
  next(signal: AbortSignal): Promise<Taken> {
    return new Promise((resolve) => {
      const onAbort = (): void => this.#waiting?.({ why: 'time' });
      this.#waiting = (taken) => {
        this.#waiting = undefined;
        signal.removeEventListener('abort', onAbort);
        resolve(taken);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else this.#serve();
    });
  }

  #serve(): void {
    if (this.#waiting === undefined) return;
    const line = this.#lines.shift();
    if (line !== undefined) this.#waiting({ line });
    else if (this.#over !== undefined) this.#waiting({ why: this.#over });
  }
}
