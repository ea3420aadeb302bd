/** Milliseconds from a Retry-After header (RFC 9110, 10.2.3), in seconds or as an HTTP date; undefined when it is neither. */
export function parseRetryAfter(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) {
    return Number(text) * 1000;
  }
  const at = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** Headers that say when a rate limit ends, where a target does not send Retry-After. No RFC; each service has its own. */
const resetHeaders = ['x-ratelimit-reset', 'x-rate-limit-reset', 'ratelimit-reset'];

/** Numbers up to this are seconds from now, larger ones a time: seconds, or milliseconds, since 1970. */
const LARGEST_DELAY_S = 10_000_000;
const SMALLEST_EPOCH_MS = 100_000_000_000;

/** Milliseconds until a rate limit ends, from the reset headers in use: seconds from now, an epoch time, or a date. */
export function parseRateReset(
  headers: Readonly<Record<string, string>>,
  nowMs: number = Date.now(),
): number | undefined {
  const text = resetHeaders.map((name) => headers[name]?.trim()).find((value) => value !== undefined && value !== '');
  if (text === undefined) {
    return undefined;
  }
  if (!/^\d{1,16}(\.\d+)?$/.test(text)) {
    const at = /^\d{4}-|[A-Za-z]{3}/.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
  }
  const value = Number(text);
  if (value <= LARGEST_DELAY_S) {
    return Math.ceil(value * 1000);
  }
  return Math.max(0, Math.ceil((value >= SMALLEST_EPOCH_MS ? value : value * 1000) - nowMs));
}
