import { signal } from "@preact/signals";
import type { Engine, EngineStats } from "./engine";
import { latencyOf, nextBehind } from "./latency";
import { AUTO, type Level } from "./quality";
import { Recovery, type Trouble } from "./recovery";
import { Sound } from "./sound";

const TICK_MS = 250;
/** A picture that has not moved for this long stands still, milliseconds. */
const STILL_MS = 600;

export interface Source {
  readonly url: string;
  readonly partTargetS: number | null;
}

/** Range that can be sought in, on the media's time line, seconds. */
export interface SeekWindow {
  readonly start: number;
  readonly end: number;
  readonly position: number;
}

/** Plays one live source, gets it to play again when it breaks, and tells the page about it in signals. */
export class LivePlayer {
  readonly sound: Sound;
  readonly levels = signal<readonly Level[]>([]);
  readonly level = signal(AUTO);
  readonly chosenLevel = signal(AUTO);
  readonly latency = signal<number | null>(null);
  readonly behind = signal(false);
  readonly paused = signal(false);
  readonly moving = signal(false);
  readonly shown = signal(false);
  readonly recovering = signal(false);
  readonly unsupported = signal(false);
  readonly stalls = signal(0);
  readonly window = signal<SeekWindow | null>(null);

  private engine: Engine | null = null;
  private source: Source | null = null;
  private loading = 0;
  private expected = false;
  private wantsPause = false;
  private position = 0;
  private movedAt = Number.NEGATIVE_INFINITY;
  private reload: ReturnType<typeof setTimeout> | undefined;
  private readonly ticker: ReturnType<typeof setInterval>;
  private readonly leave = new AbortController();
  private readonly recovery = new Recovery();

  constructor(readonly video: HTMLVideoElement) {
    this.sound = new Sound(video, this.leave.signal);
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    const options = { signal: this.leave.signal };
    video.addEventListener("playing", () => this.sawMotion(), options);
    video.addEventListener("timeupdate", () => this.sawMotion(), options);
    video.addEventListener("waiting", () => this.waiting(), options);
    video.addEventListener("pause", () => this.readPause(), options);
    video.addEventListener("play", () => this.readPause(), options);
  }

  /** hls.js, while it is what plays. */
  get hls() {
    return this.engine?.hls ?? null;
  }

  get playing(): boolean {
    return this.source !== null;
  }

  /** Loads a source, in place of what plays now. */
  play(source: Source): void {
    this.stop();
    this.source = source;
    this.expected = true;
    void this.load();
  }

  /** Nothing to play any more. */
  stop(): void {
    this.loading += 1;
    clearTimeout(this.reload);
    this.engine?.destroy();
    this.engine = null;
    this.source = null;
    this.shown.value = false;
    this.moving.value = false;
    this.recovering.value = false;
    this.behind.value = false;
    this.latency.value = null;
    this.window.value = null;
    this.levels.value = [];
  }

  /** Whether the source should deliver now; while it should not, nobody hurries it. */
  expect(delivering: boolean): void {
    if (delivering === this.expected) return;
    this.expected = delivering;
    this.recovery.excuse(Date.now());
    if (delivering && this.recovering.value) this.reloadIn(0);
  }

  destroy(): void {
    this.stop();
    clearInterval(this.ticker);
    this.leave.abort();
  }

  togglePlay(): void {
    if (this.video.paused) this.resume();
    else this.pause();
  }

  pause(): void {
    this.wantsPause = true;
    this.stay(nextBehind(this.behind.value, "paused", this.latency.value, true));
    this.video.pause();
  }

  resume(): void {
    this.wantsPause = false;
    this.recovery.excuse(Date.now());
    void this.sound.start();
  }

  goLive(): void {
    const sync = this.engine?.measured().syncPosition ?? null;
    this.stay(nextBehind(this.behind.value, "went_live", this.latency.value, false));
    if (sync !== null) this.video.currentTime = sync;
    this.resume();
  }

  seekBy(seconds: number): void {
    this.seekTo(this.video.currentTime + seconds);
  }

  /** Seeks on the media's time line; beyond the live position means going live. */
  seekTo(position: number): void {
    const sync = this.engine?.measured().syncPosition ?? null;
    if (sync === null) return;
    if (position >= sync - 0.5) {
      this.goLive();
      return;
    }
    this.stay(nextBehind(this.behind.value, "sought_back", this.latency.value, this.video.paused));
    this.video.currentTime = Math.max(this.window.value?.start ?? 0, position);
  }

  chooseLevel(index: number): void {
    this.chosenLevel.value = index;
    this.engine?.chooseLevel(index);
  }

  /** Seconds buffered ahead of the playhead. */
  bufferAhead(): number {
    const { buffered, currentTime } = this.video;
    for (let index = 0; index < buffered.length; index++) {
      if (buffered.start(index) <= currentTime + 0.1 && currentTime <= buffered.end(index)) {
        return buffered.end(index) - currentTime;
      }
    }
    return 0;
  }

  stats(): EngineStats | null {
    return this.engine?.stats() ?? null;
  }

  private async load(): Promise<void> {
    const turn = ++this.loading;
    const source = this.source;
    if (source === null) return;
    this.engine?.destroy();
    this.engine = null;
    this.recovery.excuse(Date.now());
    const engine = await this.makeEngine(source.partTargetS, turn);
    if (turn !== this.loading) engine?.destroy();
    if (engine === null || turn !== this.loading) return;
    this.engine = engine;
    engine.stayBehind(this.behind.value);
    engine.load(source.url);
  }

  /** The engine this browser can use; null when the page has to try again. */
  private async makeEngine(partTargetS: number | null, turn: number): Promise<Engine | null> {
    const events = {
      ready: (levels: readonly Level[]) => this.ready(levels),
      levelChanged: (index: number) => {
        this.level.value = index;
      },
      trouble: (kind: Trouble | "unsupported", detail: string) => this.trouble(kind, detail),
    };
    try {
      const { canUseHls, HlsEngine } = await import("./hls_engine");
      if (turn !== this.loading) return null;
      if (canUseHls()) return new HlsEngine(this.video, partTargetS, events);
      if (this.video.canPlayType("application/vnd.apple.mpegurl") !== "") {
        const { NativeEngine } = await import("./native_engine");
        return turn === this.loading ? new NativeEngine(this.video, events) : null;
      }
      this.unsupported.value = true;
    } catch (error) {
      if (turn === this.loading) this.trouble("network", String(error));
    }
    return null;
  }

  private ready(levels: readonly Level[]): void {
    this.levels.value = levels;
    this.unsupported.value = false;
    if (this.chosenLevel.value !== AUTO) this.engine?.chooseLevel(this.chosenLevel.value);
    if (!this.wantsPause) void this.sound.start();
  }

  private trouble(kind: Trouble | "unsupported", _detail: string): void {
    if (kind === "unsupported") this.unsupported.value = true;
    const remedy = this.recovery.trouble(kind === "unsupported" ? "network" : kind, Date.now());
    if (remedy.action === "recover_media") this.engine?.recoverMedia();
    else this.reloadIn(remedy.afterMs);
  }

  private reloadIn(afterMs: number): void {
    clearTimeout(this.reload);
    this.recovering.value = true;
    if (!this.expected) return;
    this.reload = setTimeout(() => void this.load(), afterMs);
  }

  private sawMotion(): void {
    if (this.video.currentTime === this.position) return;
    this.position = this.video.currentTime;
    if (this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || this.video.seeking) return;
    this.movedAt = Date.now();
    this.recovery.moved(this.movedAt);
    this.shown.value = true;
    this.moving.value = true;
    this.recovering.value = false;
  }

  private waiting(): void {
    if (this.shown.value && !this.video.seeking && !this.video.paused) this.stalls.value += 1;
  }

  private readPause(): void {
    this.paused.value = this.video.paused && this.source !== null;
  }

  private stay(behind: boolean): void {
    if (behind === this.behind.value) return;
    this.behind.value = behind;
    this.engine?.stayBehind(behind);
  }

  private tick(): void {
    const now = Date.now();
    if (this.source === null) return;
    const resting = this.paused.value && this.shown.value;
    if (this.video.paused || !this.expected) this.recovery.excuse(now);
    else if (this.recovery.halted(now)) this.trouble("halt", "The picture stood still.");
    this.moving.value = this.shown.value && (resting || now - this.movedAt < STILL_MS);
    this.measure(now - this.movedAt < STILL_MS);
  }

  private measure(advancing: boolean): void {
    const measured = this.engine?.measured();
    if (measured === undefined || !this.shown.value) return;
    const position = this.video.currentTime;
    const latency = latencyOf({ ...measured, position, advancing });
    this.latency.value = latency === null ? null : Math.round(latency * 10) / 10;
    this.stay(nextBehind(this.behind.value, "tick", latency, this.video.paused));
    const { seekable } = this.video;
    const end = measured.syncPosition;
    if (seekable.length === 0 || end === null) return;
    this.window.value = { start: seekable.start(0), end, position: Math.min(position, end) };
  }
}
