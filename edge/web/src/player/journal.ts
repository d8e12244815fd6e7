/** What happened to a picture, counted since the page opened. */

export type TroubleKind = "network" | "media" | "unsupported" | "stood_still";

export interface TroubleNote {
  readonly kind: TroubleKind;
  readonly detail: string;
}

/** Figures that only grow; whoever reports an interval takes differences. */
export interface JournalFigures {
  readonly stalls: number;
  readonly stallMs: number;
  readonly switches: number;
  /** From asking for the broadcast to its first frame; null until there is one. */
  readonly startupMs: number | null;
  /** How many times a broadcast was asked for. */
  readonly starts: number;
}

const KEPT_TROUBLES = 8;

export class Journal {
  private stalls = 0;
  private stallMs = 0;
  private stalledAt: number | null = null;
  private switches = 0;
  private starts = 0;
  private askedAt = 0;
  private startupMs: number | null = null;
  private troubles: TroubleNote[] = [];
  /** Called after a trouble was noted. */
  onTrouble: () => void = () => {};
  /** Called when the first frame of a broadcast was shown. */
  onStart: () => void = () => {};

  asked(nowMs: number): void {
    this.starts += 1;
    this.askedAt = nowMs;
    this.startupMs = null;
    this.stallEnded(nowMs);
  }

  /** A frame was shown: the first ends the start, any ends a stall. */
  showed(nowMs: number): void {
    this.stallEnded(nowMs);
    if (this.startupMs !== null || this.starts === 0) return;
    this.startupMs = nowMs - this.askedAt;
    this.onStart();
  }

  stallBegan(nowMs: number): void {
    if (this.stalledAt !== null) return;
    this.stalls += 1;
    this.stalledAt = nowMs;
  }

  stallEnded(nowMs: number): void {
    if (this.stalledAt === null) return;
    this.stallMs += nowMs - this.stalledAt;
    this.stalledAt = null;
  }

  switched(): void {
    this.switches += 1;
  }

  trouble(kind: TroubleKind, detail: string): void {
    if (this.troubles.length < KEPT_TROUBLES) this.troubles.push({ kind, detail });
    this.onTrouble();
  }

  figures(nowMs: number): JournalFigures {
    const running = this.stalledAt === null ? 0 : nowMs - this.stalledAt;
    const { stalls, switches, startupMs, starts } = this;
    return { stalls, stallMs: this.stallMs + running, switches, startupMs, starts };
  }

  /** The troubles noted since the last call, the first few of them. */
  takeTroubles(): readonly TroubleNote[] {
    const taken = this.troubles;
    this.troubles = [];
    return taken;
  }
}
