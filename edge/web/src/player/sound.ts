import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "../lib/storage";

/** Volume of a video element, kept for the next visit, and starting in browsers that refuse sound. */
export class Sound {
  readonly volume = signal(storedVolume());
  readonly muted = signal(readSetting("muted") === "1");
  /** The browser let the picture start without sound only. */
  readonly refused = signal(false);
  /** The browser did not let anything start: the viewer has to. */
  readonly blocked = signal(false);

  constructor(
    private readonly video: HTMLVideoElement,
    leave: AbortSignal,
  ) {
    video.volume = this.volume.value;
    video.muted = this.muted.value;
    video.addEventListener("volumechange", () => this.read(), { signal: leave });
    video.addEventListener("playing", () => this.started(), { signal: leave });
  }

  /** Starts to play, without sound where the browser wants it so. */
  async start(): Promise<void> {
    if (await this.tryPlay()) return;
    if (!this.video.muted) {
      this.video.muted = true;
      this.refused.value = true;
      if (await this.tryPlay()) return;
    }
    this.blocked.value = this.video.paused;
  }

  setVolume(volume: number): void {
    const next = Math.min(1, Math.max(0, Math.round(volume * 100) / 100));
    this.video.volume = next;
    this.video.muted = next === 0;
    this.refused.value = false;
    this.keep();
  }

  toggleMute(): void {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 0.5;
    this.refused.value = false;
    this.keep();
  }

  /** Only a refusal counts: an interrupted start (a new source) is followed by another start. */
  private async tryPlay(): Promise<boolean> {
    try {
      await this.video.play();
      return true;
    } catch (error) {
      return !(error instanceof DOMException && error.name === "NotAllowedError");
    }
  }

  private started(): void {
    this.blocked.value = false;
  }

  private read(): void {
    this.volume.value = this.video.volume;
    this.muted.value = this.video.muted;
  }

  private keep(): void {
    writeSetting("volume", String(this.video.volume));
    writeSetting("muted", this.video.muted ? "1" : "0");
  }
}

function storedVolume(): number {
  const stored = Number(readSetting("volume") ?? "1");
  return stored >= 0 && stored <= 1 ? stored : 1;
}
