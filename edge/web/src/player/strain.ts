/** A picture is judged by so much of it, seconds. */
const WINDOW_S = 4;
/** A device that shows less than this of what there was to show cannot keep up. */
const LEAST_SHOWN = 0.8;
/** One whose picture moves on less than this, though there is media to play, cannot either. */
const LEAST_MOVED = 0.5;
/** Frames in a window below which nothing is said of those that were not shown. */
const LEAST_FRAMES = 20;
/** Without strain for so long, the next better level is tried again, seconds. */
const CALM_S = 60;
/** Each trial that fails makes that twice as long, up to this. */
const MOST_CALM_S = 1920;

/** What can be seen of a video element at one moment. */
export interface Glance {
  /** Monotonic. */
  readonly nowS: number;
  /** On the media's time line, seconds. */
  readonly position: number;
  /** Frames decoded or given up so far. */
  readonly total: number;
  /** Those of them that were not shown. */
  readonly dropped: number;
  /** Frames a second by the playlist; 0 while unknown. */
  readonly frameRate: number;
  /** The picture should move: it is on screen, not paused, and there is media to play. */
  readonly due: boolean;
}

export type Advice = "lower" | "higher" | null;

/**
 * Whether a device keeps up with decoding. The bandwidth tells nothing of that: on a weak device the best level
 * is a row of stills that falls behind, however fast its network.
 */
export class Strain {
  private first: Glance | null = null;
  private last: Glance | null = null;
  private moved = 0;
  private calmSince: number | null = null;
  private neededS = CALM_S;
  private trial = false;

  /** Another level plays, or the picture is elsewhere: what was seen says nothing of it. */
  restart(): void {
    this.first = null;
    this.last = null;
    this.moved = 0;
  }

  /** What to do about the level now; `lowered`: whether advice to go lower is in force. */
  look(glance: Glance, lowered: boolean): Advice {
    if (!glance.due || glance.total < (this.last?.total ?? 0)) {
      this.restart();
      return null;
    }
    this.move(glance);
    this.first ??= glance;
    if (glance.nowS - this.first.nowS < WINDOW_S) return null;
    const strained = this.strained(this.first, glance);
    this.restart();
    return strained ? this.lower() : this.higher(glance.nowS, lowered);
  }

  /** A leap forward is no motion. */
  private move(glance: Glance): void {
    const { last } = this;
    this.last = glance;
    if (last === null) return;
    const step = glance.position - last.position;
    this.moved += Math.min(Math.max(0, step), 2 * (glance.nowS - last.nowS));
  }

  private strained(first: Glance, last: Glance): boolean {
    const tookS = last.nowS - first.nowS;
    if (this.moved < LEAST_MOVED * tookS) return true;
    const total = last.total - first.total;
    if (total < LEAST_FRAMES) return false;
    // what is played faster to catch up has more frames than a screen may show
    const wanted = last.frameRate > 0 ? Math.min(total, last.frameRate * tookS) : total;
    return total - (last.dropped - first.dropped) < LEAST_SHOWN * wanted;
  }

  private lower(): Advice {
    this.calmSince = null;
    if (this.trial) this.neededS = Math.min(MOST_CALM_S, 2 * this.neededS);
    this.trial = false;
    return "lower";
  }

  private higher(nowS: number, lowered: boolean): Advice {
    this.calmSince ??= nowS;
    if (nowS - this.calmSince < this.neededS) return null;
    this.calmSince = nowS;
    this.trial = lowered;
    return lowered ? "higher" : null;
  }
}
