import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "../lib/storage";

/** How far from live to play at most, by the viewer's wish, seconds. */
export const FARTHEST_S = 10;

/** What the viewer wants of latency. */
export interface Closeness {
  /** Off: the distance of classic HLS, by HOLD-BACK (RFC 8216bis 4.4.3.8), and whole segments. */
  readonly lowLatency: boolean;
  /** Seconds behind live while low latency is on; null for the least that the broadcast allows. */
  readonly targetS: number | null;
}

/** The viewer's choices of how to play, kept for the next visit. */
export class Preferences {
  readonly closeness = signal<Closeness>({
    lowLatency: readSetting("low-latency") !== "0",
    targetS: storedTarget(),
  });
  /** WebRTC where the server offers it. */
  readonly lowestDelay = signal(readSetting("lowest-delay") === "1");
  readonly captions = signal(readSetting("captions") === "1");

  setLowLatency(on: boolean): void {
    writeSetting("low-latency", on ? null : "0");
    this.closeness.value = { ...this.closeness.value, lowLatency: on };
  }

  setTarget(seconds: number | null): void {
    writeSetting("latency", seconds === null ? null : String(seconds));
    this.closeness.value = { ...this.closeness.value, targetS: seconds };
  }

  setLowestDelay(on: boolean): void {
    writeSetting("lowest-delay", on ? "1" : null);
    this.lowestDelay.value = on;
  }

  setCaptions(on: boolean): void {
    writeSetting("captions", on ? "1" : null);
    this.captions.value = on;
  }
}

function storedTarget(): number | null {
  const stored = Number(readSetting("latency") ?? Number.NaN);
  return stored > 0 && stored <= FARTHEST_S ? stored : null;
}
