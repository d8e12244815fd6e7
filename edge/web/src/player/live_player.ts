import { batch, effect, signal, untracked } from "@preact/signals";
import { aheadOf } from "./buffered";
import { canUseWhep, chooseEngine } from "./choose_engine";
import type { Engine, EngineEvents, EngineStats, Setback } from "./engine";
import { Journal, type TroubleKind } from "./journal";
import { LATE_S, latencyOf, nextBehind } from "./latency";
import { Motion } from "./motion";
import { Preferences } from "./preferences";
import { AUTO, type Level } from "./quality";
import { Recovery } from "./recovery";
import { Sound } from "./sound";
import type { StartAt } from "./start_at";
import type { WhepEngine } from "./whep_engine";
import { WhepReturn } from "./whep_return";

/** Under which name a setback is counted. */
const NOTED: Readonly<Record<Setback, TroubleKind>> = {
  network: "network",
  media: "media",
  halt: "stood_still",
  unsupported: "unsupported",
  refused: "network",
  full: "network",
};
const TICK_MS = 250;
/** A picture further from where it belongs than this is put there when its viewer chose a distance, seconds. */
const ALIGN_S = 1;
/** A viewer whose place fell out of the window goes on this far inside it, seconds. */
const INSIDE_S = 4;
/** So far inside the window lies the first moment that can be sought to, seconds: where it begins is told roughly. */
const FIRST_S = 0.1;
/** With so much media ahead nothing is waited for, seconds. */
const FED_S = 0.3;

export interface Source {
  readonly url: string;
  readonly partTargetS: number | null;
  /** Where WebRTC is to be had; null where the server has none. */
  readonly whepUrl: string | null;
  /** The address to ask in place of this one, or of one that a playlist names; it may change with time. */
  readonly readdress?: (url: string) => string;
  /** Until when its broadcast counts as just begun, Unix milliseconds. */
  readonly earlyUntil?: number;
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
  readonly journal = new Journal();
  readonly preferences = new Preferences();
  readonly levels = signal<readonly Level[]>([]);
  readonly level = signal(AUTO);
  readonly chosenLevel = signal(AUTO);
  /** Seconds behind live. */
  readonly latency = signal<number | null>(null);
  /** The viewer chose to be behind. */
  readonly behind = signal(false);
  /** Further behind than the player should be, by choice or not. */
  readonly late = signal(false);
  readonly paused = signal(false);
  readonly recovering = signal(false);
  readonly unsupported = signal(false);
  /** The server takes no further viewers for now. */
  readonly full = signal(false);
  readonly window = signal<SeekWindow | null>(null);
  readonly engineName = signal("");

  private readonly leave = new AbortController();
  private readonly motion: Motion;
  private readonly recovery = new Recovery();
  private readonly events: EngineEvents = {
    ready: (levels) => this.ready(levels),
    attachedAgain: () => this.unpause(),
    levelChanged: (index) => this.levelChanged(index),
    trouble: (kind, detail) => this.trouble(kind, detail),
  };
  private readonly whepReturn: WhepReturn;
  private readonly ticker: ReturnType<typeof setInterval>;
  private readonly stopFollowing: () => void;
  private engine: Engine | null = null;
  private source: Source | null = null;
  private start: StartAt | null = null;
  private loading = 0;
  private expected = false;
  private wantsPause = false;
  private whepRefused = false;
  private reload: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly video: HTMLVideoElement) {
    this.sound = new Sound(video, this.leave.signal);
    this.motion = new Motion(video, this.journal, (now) => this.moved(now), this.leave.signal);
    this.whepReturn = new WhepReturn({
      video,
      events: this.events,
      url: () => this.returnUrl(),
      changeOver: (engine) => this.changeOver(engine),
    });
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    const options = { signal: this.leave.signal };
    video.addEventListener("pause", () => this.readPause(), options);
    video.addEventListener("play", () => this.readPause(), options);
    this.stopFollowing = effect(() => {
      const closeness = this.preferences.closeness.value;
      untracked(() => {
        this.engine?.follow(closeness);
        this.align();
      });
    });
  }

  get moving() {
    return this.motion.moving;
  }

  get shown() {
    return this.motion.shown;
  }

  /** hls.js, while it is what plays. */
  get hls() {
    return this.engine?.hls ?? null;
  }

  get playing(): boolean {
    return this.source !== null;
  }

  /** Loads a source, in place of what plays now. `start`: where to begin, live without it. */
  play(source: Source, start: StartAt | null = null): void {
    // one step for whoever watches: in between it would look as if nothing were to play
    batch(() => {
      this.stop();
      this.source = source;
      this.start = start;
      this.expected = true;
      this.whepRefused = false;
      this.journal.asked(Date.now());
      void this.load();
    });
  }

  /** Where the viewer is, when that is behind by choice: to go on there with another source. */
  place(): StartAt | null {
    const clock = this.behind.value ? this.clockAt(this.video.currentTime) : null;
    return clock === null ? null : { unixMs: clock };
  }

  /** Nothing to play any more. */
  stop(): void {
    this.loading += 1;
    clearTimeout(this.reload);
    this.whepReturn.cancel();
    this.engine?.destroy();
    this.engine = null;
    this.source = null;
    this.motion.reset();
    this.recovering.value = false;
    this.behind.value = false;
    this.forgetMeasures();
    this.levels.value = [];
    this.engineName.value = "";
  }

  private forgetMeasures(): void {
    this.late.value = false;
    this.latency.value = null;
    this.window.value = null;
    this.level.value = AUTO;
  }

  /** Whether the source should deliver now; while it should not, nobody hurries it. */
  expect(delivering: boolean): void {
    if (delivering === this.expected) return;
    this.expected = delivering;
    this.recovery.excuse(Date.now());
    if (!delivering) return;
    if (this.recovering.value) this.reloadIn(0);
    else this.hurry();
  }

  /** Data may flow again: asks anew unless the picture moves. */
  hurry(): void {
    if (this.shown.value && !this.moving.value) this.engine?.hurry();
  }

  destroy(): void {
    this.stop();
    this.stopFollowing();
    clearInterval(this.ticker);
    this.leave.abort();
  }

  togglePlay(): void {
    if (this.video.paused) this.resume();
    else this.pause();
  }

  pause(): void {
    this.wantsPause = true;
    this.stay(nextBehind(this.behind.value, "paused", null, true));
    this.video.pause();
  }

  resume(): void {
    this.wantsPause = false;
    this.recovery.excuse(Date.now());
    void this.sound.start();
  }

  goLive(): void {
    const sync = this.engine?.measured().syncPosition ?? null;
    this.stay(nextBehind(this.behind.value, "went_live", null, false));
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
    this.stay(nextBehind(this.behind.value, "sought_back", null, this.video.paused));
    this.video.currentTime = Math.max((this.window.value?.start ?? 0) + FIRST_S, position);
  }

  chooseLevel(index: number): void {
    this.chosenLevel.value = index;
    this.engine?.chooseLevel(index);
  }

  /** Wall clock of a position, Unix milliseconds. */
  clockAt(position: number): number | null {
    return this.engine?.clockAt(position) ?? null;
  }

  /** A position on the broadcast's own time line, seconds. */
  mediaTimeAt(position: number): number | null {
    return this.engine?.mediaTimeAt(position) ?? null;
  }

  /** Seconds buffered ahead of the playhead. */
  bufferAhead(): number {
    return aheadOf(this.video);
  }

  stats(): EngineStats | null {
    return this.engine?.stats() ?? null;
  }

  private async load(): Promise<void> {
    const turn = ++this.loading;
    const source = this.source;
    if (source === null) return;
    this.start ??= this.place();
    this.engine?.destroy();
    this.engine = null;
    this.recovery.excuse(Date.now());
    const whepUrl = this.whepUrl(source);
    const engine = await this.makeEngine(source, whepUrl !== null, turn);
    if (turn !== this.loading) engine?.destroy();
    if (engine === null || turn !== this.loading) return;
    this.adopt(engine);
    const url = whepUrl ?? source.url;
    engine.load(source.readdress?.(url) ?? url);
  }

  private adopt(engine: Engine): void {
    this.engine = engine;
    this.engineName.value = engine.name;
    engine.stayBehind(this.behind.value);
  }

  /** Where to connect by WebRTC again; null while the viewer is better left alone. */
  private returnUrl(): string | null {
    const { source } = this;
    const atLive = this.moving.value && !this.video.paused && !this.behind.value && this.start === null;
    if (source === null || source.whepUrl === null || !atLive || !this.preferences.lowestDelay.value)
      return null;
    return source.readdress?.(source.whepUrl) ?? source.whepUrl;
  }

  /** Goes on by WebRTC, which is connected again. */
  private changeOver(engine: WhepEngine): void {
    this.loading += 1;
    clearTimeout(this.reload);
    this.engine?.destroy();
    this.whepRefused = false;
    this.recovery.excuse(Date.now());
    this.forgetMeasures();
    this.adopt(engine);
    engine.show();
    this.ready([]);
  }

  /** Where to connect by WebRTC; null when that is not wanted or not to be had. */
  private whepUrl(source: Source): string | null {
    const wanted = this.preferences.lowestDelay.value && !this.whepRefused && canUseWhep();
    return wanted && this.start === null ? source.whepUrl : null;
  }

  /** The engine this browser can use; null when the page has to try again. */
  private async makeEngine(source: Source, whep: boolean, turn: number): Promise<Engine | null> {
    const current = () => turn === this.loading;
    const closeness = this.preferences.closeness.value;
    const { partTargetS, readdress } = source;
    const early = Date.now() < (source.earlyUntil ?? 0);
    const wish = { partTargetS, closeness, whep, early, ...(readdress === undefined ? {} : { readdress }) };
    try {
      const engine = await chooseEngine(this.video, wish, this.events, current);
      if (engine === null && current()) this.trouble("unsupported", "Neither Media Source nor HLS.");
      return engine;
    } catch (error) {
      if (current()) this.trouble("network", String(error));
    }
    return null;
  }

  private ready(levels: readonly Level[]): void {
    this.levels.value = levels;
    this.unsupported.value = false;
    this.full.value = false;
    if (this.chosenLevel.value !== AUTO) this.engine?.chooseLevel(this.chosenLevel.value);
    this.unpause();
  }

  private unpause(): void {
    if (!this.wantsPause) void this.sound.start();
  }

  private levelChanged(index: number): void {
    if (this.level.value !== AUTO && this.level.value !== index) this.journal.switched();
    this.level.value = index;
  }

  private trouble(kind: Setback, detail: string): void {
    this.journal.trouble(NOTED[kind], detail);
    if (kind === "refused" || this.engine?.name === "whep") {
      this.whepRefused = true;
      this.whepReturn.later();
      this.reloadIn(0);
      return;
    }
    if (kind === "unsupported") this.unsupported.value = true;
    this.full.value = kind === "full";
    const cause = kind === "unsupported" || kind === "full" ? "network" : kind;
    const remedy = this.recovery.trouble(cause, Date.now());
    if (remedy.action === "recover_media") this.engine?.recoverMedia();
    else this.reloadIn(remedy.afterMs);
  }

  private reloadIn(afterMs: number): void {
    clearTimeout(this.reload);
    this.recovering.value = true;
    if (!this.expected) return;
    this.reload = setTimeout(() => void this.load(), afterMs);
  }

  private moved(now: number): void {
    this.recovery.moved(now);
    this.recovering.value = false;
  }

  private readPause(): void {
    this.paused.value = this.video.paused && this.source !== null;
  }

  private stay(behind: boolean): void {
    if (behind === this.behind.value) return;
    this.behind.value = behind;
    this.engine?.stayBehind(behind);
  }

  /** Puts the picture where its viewer now wants it. */
  private align(): void {
    const sync = this.engine?.measured().syncPosition ?? null;
    if (sync === null || this.behind.value || !this.shown.value) return;
    if (Math.abs(sync - this.video.currentTime) > ALIGN_S) this.video.currentTime = sync;
  }

  private tick(): void {
    const now = Date.now();
    if (this.source === null) return;
    if (aheadOf(this.video) < FED_S) this.recovery.came(this.engine?.received() ?? 0, now);
    if (this.video.paused || !this.expected) this.recovery.excuse(now);
    else if (this.recovery.halted(now)) this.trouble("halt", "The picture stood still.");
    else if (this.shown.value && this.recovery.sluggish(now)) this.engine?.hurry();
    this.motion.tick(now);
    this.measure(this.motion.advancing(now));
  }

  private measure(advancing: boolean): void {
    const measured = this.engine?.measured();
    if (measured === undefined || !this.shown.value) return;
    const position = this.video.currentTime;
    const loaded = this.video.readyState > HTMLMediaElement.HAVE_NOTHING;
    const latency = loaded ? latencyOf({ ...measured, position, advancing }) : null;
    const lateness = latency === null ? null : latency - measured.target;
    this.latency.value = latency === null ? null : Math.round(latency * 10) / 10;
    if (this.start === null) this.stay(nextBehind(this.behind.value, "tick", lateness, this.video.paused));
    this.late.value = this.behind.value || (lateness ?? 0) > LATE_S;
    const { windowStart: start, syncPosition: end } = measured;
    if (start === null || end === null) return;
    this.window.value = { start, end, position: Math.min(position, end) };
    if (this.start !== null) {
      if (measured.begun) this.begin(this.start, end + measured.target);
    } else if (this.behind.value && position < start) {
      this.video.currentTime = Math.min(start + INSIDE_S, end);
    }
  }

  /** Goes where the viewer asked to begin, once the window is known. `live`: the live edge's position. */
  private begin(start: StartAt, live: number): void {
    this.start = null;
    const position =
      "behindS" in start ? live - start.behindS : (this.engine?.positionAt(start.unixMs) ?? null);
    if (position !== null) this.seekTo(position);
  }
}
