/** A player that is this far behind its place without its viewer's wish leaps there, seconds. */
export const EXCESS_S = 3;
/** It bears up to so much while leaps do not help. */
const MOST_S = 24;
/** A leap that was needed again after this and the time in which that much is lost was of use, seconds. */
const SETTLED_S = 10;

/**
 * When to leap to live. Each leap costs a device the decoding of up to a whole GOP: one that has just stood still for
 * want of that would leap from still to still, so the next leap comes later, until one was of use.
 */
export class Leap {
  private allowedS = EXCESS_S;
  private leaptAt = Number.NEGATIVE_INFINITY;

  /** Whether to leap now, `excessS` behind the place, at `nowS` of a monotonic clock. */
  due(nowS: number, excessS: number): boolean {
    if (excessS <= this.allowedS) return false;
    const soon = nowS - this.leaptAt < this.allowedS + SETTLED_S;
    this.allowedS = soon ? Math.min(MOST_S, 2 * this.allowedS) : EXCESS_S;
    this.leaptAt = nowS;
    return true;
  }
}
