import type { JournalFigures, TroubleNote } from "../player/journal";

export type BeaconState = "starting" | "playing" | "paused" | "stalled" | "audio" | "ended";

/** What a player tells its edge about an interval: the body of POST /beacon. Counts are of the interval. */
export interface Beacon {
  readonly v: 1;
  readonly session: string;
  readonly stream_id: string;
  readonly channel: string;
  readonly player: string;
  readonly seq: number;
  readonly state: BeaconState;
  readonly interval_ms: number;
  /** From asking to the first frame; told once. */
  readonly startup_ms: number | null;
  readonly stalls: number;
  readonly stall_ms: number;
  readonly latency_ms: number | null;
  /** Bits per second of what is shown. */
  readonly bitrate: number | null;
  readonly height: number | null;
  readonly switches: number;
  readonly dropped_frames: number;
  readonly errors: readonly TroubleNote[];
  readonly leaving: boolean;
}

/** What a player is doing at one moment, besides its journal. */
export interface Reading {
  readonly streamId: string;
  readonly player: string;
  readonly state: BeaconState;
  readonly latencyS: number | null;
  readonly bitrate: number | null;
  readonly height: number | null;
  /** Since the page opened. */
  readonly droppedFrames: number;
}

const MOST_ERRORS = 8;
const DETAIL_CHARACTERS = 100;
const LONGEST_INTERVAL_MS = 60_000;

const NOTHING: JournalFigures = { stalls: 0, stallMs: 0, switches: 0, startupMs: null, starts: 0 };

/** Makes the beacons of one page view, each of what happened since the one before. */
export class BeaconMaker {
  private seq = 0;
  private before = NOTHING;
  private dropped = 0;
  private at: number;
  /** The start whose time has been told. */
  private toldStart = 0;

  constructor(
    private readonly session: string,
    private readonly channel: string,
    nowMs: number,
  ) {
    this.at = nowMs;
  }

  make(
    reading: Reading,
    figures: JournalFigures,
    troubles: readonly TroubleNote[],
    nowMs: number,
    leaving: boolean,
  ): Beacon {
    const { before } = this;
    const tellsStart = figures.startupMs !== null && figures.starts !== this.toldStart;
    const dropped = reading.droppedFrames;
    const beacon: Beacon = {
      v: 1,
      session: this.session,
      stream_id: reading.streamId,
      channel: this.channel,
      player: reading.player,
      seq: this.seq,
      state: reading.state,
      interval_ms: Math.round(Math.min(LONGEST_INTERVAL_MS, Math.max(0, nowMs - this.at))),
      startup_ms: tellsStart ? rounded(figures.startupMs) : null,
      stalls: figures.stalls - before.stalls,
      stall_ms: Math.round(Math.max(0, figures.stallMs - before.stallMs)),
      latency_ms: reading.latencyS === null ? null : Math.round(reading.latencyS * 1000),
      bitrate: rounded(reading.bitrate),
      height: rounded(reading.height),
      switches: figures.switches - before.switches,
      // a player that was loaded anew counts from nothing
      dropped_frames: dropped >= this.dropped ? dropped - this.dropped : dropped,
      errors: troubles.slice(0, MOST_ERRORS).map(shortened),
      leaving,
    };
    if (tellsStart) this.toldStart = figures.starts;
    this.seq += 1;
    this.before = figures;
    this.dropped = dropped;
    this.at = nowMs;
    return beacon;
  }
}

function rounded(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Math.round(value);
}

function shortened(trouble: TroubleNote): TroubleNote {
  return { kind: trouble.kind, detail: [...trouble.detail].slice(0, DETAIL_CHARACTERS).join("") };
}
