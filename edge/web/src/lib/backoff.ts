/** Retry delays: doubling up to a limit, with jitter so that many pages do not come back at once. */

export interface BackoffOptions {
  /** First delay, milliseconds. */
  readonly firstMs: number;
  /** Longest delay, milliseconds. */
  readonly limitMs: number;
}

/** Delay before try number `attempt` (0 is the first retry): between half of the full delay and all of it. */
export function backoffMs(
  attempt: number,
  options: BackoffOptions,
  random: () => number = Math.random,
): number {
  const full = Math.min(options.limitMs, options.firstMs * 2 ** Math.min(attempt, 16));
  return Math.round(full * (0.5 + random() / 2));
}
