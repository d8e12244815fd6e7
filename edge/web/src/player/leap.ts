/** A player that is this far behind its place without its viewer's wish leaps there, seconds. */
export const EXCESS_S = 3;
/** Who has just got over a hole, in which the picture stood still, may as well be in its place at once, seconds. */
const AFTER_HOLE_S = 1;
/** So long, seconds. */
const HOLE_S = 2;
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
  private holeAt = Number.NEGATIVE_INFINITY;

  /** It goes on behind a hole at `nowS`. */
  over(nowS: number): void {
    this.holeAt = nowS;
  }

  /** Whether to leap now, `excessS` behind the place, at `nowS` of a monotonic clock. */
  due(nowS: number, excessS: number): boolean {
    const behindHole = nowS - this.holeAt < HOLE_S && this.allowedS === EXCESS_S;
    if (excessS <= (behindHole ? AFTER_HOLE_S : this.allowedS)) return false;
    const soon = nowS - this.leaptAt < this.allowedS + SETTLED_S;
    this.allowedS = soon ? Math.min(MOST_S, 2 * this.allowedS) : EXCESS_S;
    this.leaptAt = nowS;
    return true;
  }
}
