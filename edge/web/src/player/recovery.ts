import { backoffMs } from "../lib/backoff";

/** What went wrong in a player: the network, the media pipeline, or a silent halt. */
export type Trouble = "network" | "media" | "halt";

export type Remedy =
  | { readonly action: "recover_media" }
  /** Load the source again after a while. */
  | { readonly action: "reload"; readonly afterMs: number };

const RELOAD = { firstMs: 400, limitMs: 4000 };
const MEDIA_TRIES = 2;
/** Playing this long without trouble forgets the troubles before, milliseconds. */
const HEALTHY_MS = 10_000;
/** A picture that should move and has not for this long is loaded again, milliseconds. */
const HALT_MS = 6000;
/** Before that, after this long, what is being loaded is asked for anew: it may hang. Once. */
const SLUGGISH_MS = 3000;
/** So long media that still comes is waited for: a narrow line is no halt, and beginning anew would lose it. */
const NARROW_MS = 30_000;

/** Decides how to get a broken player to play. It never gives up: only the channel going offline ends it. */
export class Recovery {
  private reloads = 0;
  private mediaTries = 0;
  private troubleAt = Number.NEGATIVE_INFINITY;
  private movedAt: number | null = null;
  private cameAt = Number.NEGATIVE_INFINITY;
  private received = 0;
  private hurried = false;

  constructor(private readonly random: () => number = Math.random) {}

  /** Troubles in a row: 0 while all is well. */
  get attempts(): number {
    return this.reloads;
  }

  trouble(kind: Trouble, nowMs: number): Remedy {
    if (nowMs - this.troubleAt > HEALTHY_MS && this.movedAt !== null && nowMs - this.movedAt < HALT_MS) {
      this.reloads = 0;
      this.mediaTries = 0;
    }
    this.troubleAt = nowMs;
    if (kind === "media" && this.mediaTries < MEDIA_TRIES) {
      this.mediaTries += 1;
      return { action: "recover_media" };
    }
    const afterMs = backoffMs(this.reloads, RELOAD, this.random);
    this.reloads += 1;
    this.movedAt = null;
    return { action: "reload", afterMs };
  }

  /** The picture moved. */
  moved(nowMs: number): void {
    this.movedAt = nowMs;
    this.hurried = false;
    if (nowMs - this.troubleAt > HEALTHY_MS) {
      this.reloads = 0;
      this.mediaTries = 0;
    }
  }

  /** How much media has come, while there is none to show. */
  came(bytes: number, nowMs: number): void {
    if (bytes !== this.received && nowMs - (this.movedAt ?? nowMs) < NARROW_MS) this.cameAt = nowMs;
    this.received = bytes;
  }

  /** Nothing was expected of the player until now: the halt counts from here. */
  excuse(nowMs: number): void {
    this.movedAt = nowMs;
    this.hurried = false;
  }

  /** Whether the picture has stood still for so long that its requests may hang; true once for each time. */
  sluggish(nowMs: number): boolean {
    if (this.hurried || this.stillFor(nowMs) < SLUGGISH_MS) return false;
    this.hurried = true;
    return true;
  }

  /** Whether the picture has stood still for too long. */
  halted(nowMs: number): boolean {
    return this.stillFor(nowMs) >= HALT_MS;
  }

  /** Since the picture moved or media came for it, milliseconds. */
  private stillFor(nowMs: number): number {
    return this.movedAt === null ? 0 : nowMs - Math.max(this.movedAt, this.cameAt);
  }
}
