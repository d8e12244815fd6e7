import { signal } from "@preact/signals";
import type { Journal } from "./journal";

/** A picture that has not moved for this long stands still, milliseconds. */
const STILL_MS = 600;

/** Whether a video element's picture moves, in signals and in the journal. */
export class Motion {
  /** Frames are coming, or the viewer has paused a picture that would move. */
  readonly moving = signal(false);
  /** A frame of this broadcast has been shown. */
  readonly shown = signal(false);
  private place = 0;
  private movedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly journal: Journal,
    private readonly moved: (nowMs: number) => void,
    leave: AbortSignal,
  ) {
    const options = { signal: leave };
    video.addEventListener("playing", () => this.look(), options);
    video.addEventListener("timeupdate", () => this.look(), options);
    video.addEventListener("waiting", () => this.waiting(), options);
    video.addEventListener("pause", () => journal.stallEnded(Date.now()), options);
  }

  /** Nothing of the next broadcast has been seen. */
  reset(): void {
    this.shown.value = false;
    this.moving.value = false;
  }

  advancing(nowMs: number): boolean {
    return nowMs - this.movedAt < STILL_MS;
  }

  /** Browsers pause by themselves at the end of a broadcast, and while a source is loaded anew. */
  tick(nowMs: number): void {
    const resting = this.shown.value && this.video.paused && this.hasPicture() && !this.video.ended;
    this.moving.value = this.shown.value && (resting || this.advancing(nowMs));
  }

  private hasPicture(): boolean {
    return this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  private look(): void {
    const place = placeOf(this.video);
    if (place === this.place) return;
    this.place = place;
    if (!this.hasPicture() || this.video.seeking) return;
    this.movedAt = Date.now();
    this.journal.showed(this.movedAt);
    this.shown.value = true;
    this.moving.value = true;
    this.moved(this.movedAt);
  }

  private waiting(): void {
    if (this.shown.value && !this.video.seeking && !this.video.paused) this.journal.stallBegan(Date.now());
  }
}

/** What changes while the picture moves: the clock of a WebRTC stream runs on without pictures. */
function placeOf(video: HTMLVideoElement): number {
  const counts = video.srcObject instanceof MediaStream && video.videoWidth > 0;
  return counts ? video.getVideoPlaybackQuality().totalVideoFrames : video.currentTime;
}
