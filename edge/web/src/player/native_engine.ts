import type { Engine, EngineEvents, EngineStats } from "./engine";

const LIVE_MARGIN_S = 3;

/** The browser's own HLS, where there is no Media Source (older Safari on iPhones). */
export class NativeEngine implements Engine {
  readonly hls = null;
  private readonly leave = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    events: EngineEvents,
  ) {
    const options = { signal: this.leave.signal };
    video.addEventListener("loadedmetadata", () => events.ready([]), options);
    video.addEventListener("error", () => this.failed(events), options);
  }

  load(url: string): void {
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

  measured() {
    const { seekable } = this.video;
    const end = seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
    return { measured: this.byDate(), syncPosition: end, target: LIVE_MARGIN_S };
  }

  stayBehind(): void {}

  chooseLevel(): void {}

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

  /** Latency by EXT-X-PROGRAM-DATE-TIME, which Safari tells as the start date of the media. */
  private byDate(): number | null {
    const dated = this.video as HTMLVideoElement & { getStartDate?: () => Date };
    const start = dated.getStartDate?.().getTime() ?? Number.NaN;
    if (Number.isNaN(start)) return null;
    return (Date.now() - start) / 1000 - this.video.currentTime;
  }

  private failed(events: EngineEvents): void {
    const error = this.video.error;
    if (error === null) return;
    const decoding = error.code === MediaError.MEDIA_ERR_DECODE;
    events.trouble(decoding ? "media" : "network", error.message);
  }
}
