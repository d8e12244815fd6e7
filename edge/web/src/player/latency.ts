/** How far behind live a player is, and whether that is its viewer's wish. */

/** This far behind where it should be, a player is late and the page offers to go live, seconds. */
export const LATE_S = 2.8;

export interface LatencyInput {
  /** What the engine measures, seconds; null when it knows nothing. */
  readonly measured: number | null;
  /** Where the player should be, on the media's time line, seconds; null while unknown. */
  readonly syncPosition: number | null;
  /** How far `syncPosition` is behind live, seconds. */
  readonly target: number;
  readonly position: number;
  /** Where the window begins in which can be played, on the same line; null while unknown. */
  readonly windowStart: number | null;
  /** Whether the picture moves now. */
  readonly advancing: boolean;
}

/**
 * Latency, seconds. A picture that stands still falls behind although nothing may measure it; where it should be
 * stands still as well while no playlist comes.
 */
export function latencyOf(input: LatencyInput): number | null {
  if (input.position === 0 && (input.windowStart ?? 0) > 0) return null; // it has no place yet
  const measured = input.measured ?? 0;
  if (input.advancing && measured > 0) return measured;
  if (input.syncPosition === null) return null;
  return Math.max(0, measured, input.syncPosition + input.target - input.position);
}

export type BehindEvent = "paused" | "sought_back" | "went_live" | "tick";

/**
 * Whether the viewer chose to be behind: then nothing may pull the picture to the live edge. Pausing and
 * seeking back choose it; going live, or playing close to live again, ends it. `lateness`: seconds behind
 * where the player should be, null while unknown.
 */
export function nextBehind(
  behind: boolean,
  event: BehindEvent,
  lateness: number | null,
  paused: boolean,
): boolean {
  if (event === "went_live") return false;
  if (event === "paused" || event === "sought_back") return true;
  const close = lateness !== null && lateness < LATE_S;
  return behind && !(close && !paused);
}
