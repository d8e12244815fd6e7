/** Without a stall for so long, a viewer's place is as near to live as before it, seconds. */
const FIRST_S = 10;
/** The same of a stall while playback begins, which says that little was loaded and nothing of the network, seconds. */
const BEGINNING_S = 5;
const FIRST_OF_ALL_S = 3;
/** Each stall that follows soon after makes that twice as long, up to this. */
const MOST_S = 300;

/**
 * When a stall is forgotten. hls.js plays farther from live after each stall and never comes back; most stalls
 * happen while playback begins, or once. A network that goes on stalling is believed for longer each time.
 */
export class Calm {
  private stalledAt: number | null = null;
  private endedAt = Number.NEGATIVE_INFINITY;
  private neededS = FIRST_S;

  /** `beganS`: when the source was loaded, on the same clock as what follows. */
  constructor(private readonly beganS = Number.NEGATIVE_INFINITY) {}

  stalled(nowS: number): void {
    if (this.stalledAt === null) {
      const soon = nowS - this.endedAt < this.neededS;
      this.neededS = soon ? Math.min(MOST_S, 2 * this.neededS) : this.leastS(nowS);
    }
    this.stalledAt = nowS;
  }

  private leastS(nowS: number): number {
    return nowS - this.beganS < BEGINNING_S ? FIRST_OF_ALL_S : FIRST_S;
  }

  /** Whether a stall is to be forgotten now: true once for each. */
  returned(nowS: number): boolean {
    if (this.stalledAt === null || nowS - this.stalledAt < this.neededS) return false;
    this.stalledAt = null;
    this.endedAt = nowS;
    return true;
  }
}
