import { effect, signal } from "@preact/signals";
import type { Preferences } from "./preferences";

/** Caption tracks of a video element: whether there are any, and showing them as the viewer wants. */
export class Captions {
  readonly offered = signal(false);
  private readonly stop: () => void;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly preferences: Preferences,
    leave: AbortSignal,
  ) {
    const options = { signal: leave };
    video.textTracks.addEventListener("addtrack", () => this.read(), options);
    video.textTracks.addEventListener("removetrack", () => this.read(), options);
    this.stop = effect(() => this.show(this.preferences.captions.value));
    leave.addEventListener("abort", () => this.stop());
    this.read();
  }

  toggle(): void {
    if (this.offered.value) this.preferences.setCaptions(!this.preferences.captions.value);
  }

  private read(): void {
    this.offered.value = this.tracks().length > 0;
    this.show(this.preferences.captions.peek());
  }

  private show(on: boolean): void {
    for (const [index, track] of this.tracks().entries())
      track.mode = on && index === 0 ? "showing" : "hidden";
  }

  private tracks(): readonly TextTrack[] {
    return [...this.video.textTracks].filter((one) => one.kind === "captions" || one.kind === "subtitles");
  }
}
