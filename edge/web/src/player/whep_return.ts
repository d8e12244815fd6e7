import { backoffMs } from "../lib/backoff";
import type { EngineEvents } from "./engine";
import type { WhepEngine } from "./whep_engine";

const TRY = { firstMs: 6000, limitMs: 300_000 };
/** A connection that brings nothing by then is given up, milliseconds. */
const FLOW_MS = 8000;
/** WebRTC that lasted so long may be tried again as soon as at first, milliseconds. */
const STEADY_MS = 60_000;
/** Whether somebody would change over is looked at again after this long, milliseconds. */
const LOOK_MS = 2000;

/** When to try again what was lost: ever later, and soon again after it has lasted. */
export class TryTimes {
  private tries = 0;
  private returnedAt = Number.POSITIVE_INFINITY;

  constructor(private readonly random: () => number = Math.random) {}

  /** It plays again. */
  returned(nowMs: number): void {
    this.returnedAt = nowMs;
  }

  /** How long to wait before the next try, milliseconds. */
  next(nowMs: number): number {
    if (nowMs - this.returnedAt >= STEADY_MS) this.tries = 0;
    this.returnedAt = Number.POSITIVE_INFINITY;
    const afterMs = backoffMs(this.tries, TRY, this.random);
    this.tries += 1;
    return afterMs;
  }
}

/** What the player says of a way back to WebRTC. */
export interface WayBack {
  readonly video: HTMLVideoElement;
  readonly events: EngineEvents;
  /** Where to connect now; null while nobody would change over. */
  url(): string | null;
  /** Media comes in: the engine is the player's from now on. */
  changeOver(engine: WhepEngine): void;
}

/**
 * Gets a player that lost WebRTC, or was refused it, back to it.
 *
 * It connects beside what plays, and the player changes over when media comes in: who cannot get through
 * sees nothing of the tries.
 */
export class WhepReturn {
  private readonly times = new TryTimes();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private trying: WhepEngine | null = null;
  private turn = 0;

  constructor(private readonly way: WayBack) {}

  /** Tries when its time has come. */
  later(): void {
    this.beginIn(this.times.next(Date.now()));
  }

  /** Nobody wants it any more. */
  cancel(): void {
    this.turn += 1;
    clearTimeout(this.timer);
    this.trying?.destroy();
    this.trying = null;
  }

  private beginIn(afterMs: number): void {
    this.cancel();
    const { turn } = this;
    this.timer = setTimeout(() => void this.begin(turn), afterMs);
  }

  private async begin(turn: number): Promise<void> {
    const url = this.way.url();
    const module = url === null ? null : await import("./whep_engine").catch(() => null);
    if (turn !== this.turn) return;
    if (url === null || module === null) {
      this.beginIn(LOOK_MS);
      return;
    }
    const engine = new module.WhepEngine(this.way.video, this.eventsOf(turn));
    this.trying = engine;
    this.timer = setTimeout(() => this.later(), FLOW_MS);
    engine.onMedia(() => this.arrived(engine));
    engine.load(url);
  }

  private arrived(engine: WhepEngine): void {
    if (engine !== this.trying) return;
    if (this.way.url() === null) {
      this.beginIn(LOOK_MS);
      return;
    }
    this.trying = null;
    this.cancel();
    this.times.returned(Date.now());
    this.way.changeOver(engine);
  }

  /** While it is tried only its failure counts; then it is the player's. */
  private eventsOf(turn: number): EngineEvents {
    const { events } = this.way;
    const mine = () => turn === this.turn;
    return {
      ready: (levels) => (mine() ? undefined : events.ready(levels)),
      attachedAgain: () => events.attachedAgain(),
      levelChanged: (index) => events.levelChanged(index),
      trouble: (kind, detail) => (mine() ? this.later() : events.trouble(kind, detail)),
    };
  }
}
