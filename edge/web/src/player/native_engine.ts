import type { Engine, EngineEvents, EngineStats, Measured } from "./engine";
import type { Closeness } from "./preferences";

/** Safari plays this far behind the end of its window by itself, seconds. */
const LIVE_MARGIN_S = 3;

type Dated = HTMLVideoElement & { getStartDate?: () => Date };

/** The browser's own HLS, where there is no Media Source (older Safari on iPhones). */
export class NativeEngine implements Engine {
  readonly hls = null;
  readonly name = "native";
  private readonly leave = new AbortController();
  private url = "";
  private wishS: number | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    closeness: Closeness,
    events: EngineEvents,
  ) {
    this.follow(closeness);
    const options = { signal: this.leave.signal };
    video.addEventListener("loadedmetadata", () => events.ready([]), options);
    video.addEventListener("error", () => this.failed(events), options);
  }

  load(url: string): void {
    this.url = url;
    this.video.src = url;
    this.video.load();
  }

  destroy(): void {
    this.leave.abort();
    this.video.removeAttribute("src");
    this.video.load();
  }

  recoverMedia(): void {
    this.video.load();
  }

  received(): number {
    return 0;
  }

  /** The browser keeps no request that could be asked anew by itself. */
  hurry(): void {
    const paused = this.video.paused;
    this.load(this.url);
    if (!paused) this.video.play().catch(() => {});
  }

  measured(): Measured {
    const { seekable } = this.video;
    const some = seekable.length > 0;
    const target = this.target();
    return {
      measured: this.byDate(),
      syncPosition: some ? seekable.end(seekable.length - 1) - (target - LIVE_MARGIN_S) : null,
      target,
      windowStart: some ? seekable.start(0) : null,
      begun: this.video.readyState > HTMLMediaElement.HAVE_NOTHING,
    };
  }

  stayBehind(): void {}

  /** Low latency is the browser's own affair; a longer distance can be kept. */
  follow(closeness: Closeness): void {
    this.wishS = closeness.lowLatency ? closeness.targetS : null;
  }

  chooseLevel(): void {}

  clockAt(position: number): number | null {
    const start = this.startDate();
    return start === null ? null : start + position * 1000;
  }

  positionAt(unixMs: number): number | null {
    const start = this.startDate();
    return start === null ? null : (unixMs - start) / 1000;
  }

  /** The browser does not tell the media's own times. */
  mediaTimeAt(): null {
    return null;
  }

  stats(): EngineStats {
    return {
      engine: "the browser's own HLS",
      bandwidth: null,
      partTargetS: null,
      targetDurationS: null,
      playlist: "HLS",
      codecs: "",
    };
  }

  private target(): number {
    return Math.max(LIVE_MARGIN_S, this.wishS ?? 0);
  }

  /** EXT-X-PROGRAM-DATE-TIME, which Safari tells as the start date of the media, Unix milliseconds. */
  private startDate(): number | null {
    const start = (this.video as Dated).getStartDate?.().getTime() ?? Number.NaN;
    return Number.isNaN(start) ? null : start;
  }

  private byDate(): number | null {
    const clock = this.clockAt(this.video.currentTime);
    return clock === null ? null : (Date.now() - clock) / 1000;
  }

  private failed(events: EngineEvents): void {
    const error = this.video.error;
    if (error === null) return;
    const decoding = error.code === MediaError.MEDIA_ERR_DECODE;
    events.trouble(decoding ? "media" : "network", error.message);
  }
}
