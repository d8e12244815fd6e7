import type Hls from "hls.js";
import type { Closeness } from "./preferences";
import type { Level } from "./quality";
import type { Trouble } from "./recovery";

/** "refused": this way of playing is not to be had, another may be. "full": not one more viewer is taken now. */
export type Setback = Trouble | "unsupported" | "refused" | "full";

/** What an engine reports to its player. */
export interface EngineEvents {
  /** The source is understood; playing may begin. */
  ready(levels: readonly Level[]): void;
  /** The video element begins anew in the middle: browsers pause what they cannot decode. */
  attachedAgain(): void;
  levelChanged(index: number): void;
  trouble(kind: Setback, detail: string): void;
}

/** Facts for the stats overlay; null where the engine cannot know. */
export interface EngineStats {
  readonly engine: string;
  readonly bandwidth: number | null;
  readonly partTargetS: number | null;
  readonly targetDurationS: number | null;
  readonly playlist: string;
  readonly codecs: string;
}

/** Where the player is and should be, on the media's time line, seconds; null while unknown. */
export interface Measured {
  /** Latency, seconds. */
  readonly measured: number | null;
  readonly syncPosition: number | null;
  /** How far `syncPosition` is behind live. */
  readonly target: number;
  /** The oldest position that can be sought to; null when there is no going back. */
  readonly windowStart: number | null;
  /** The engine has gone where it begins by itself: who is put elsewhere before is taken there by it. */
  readonly begun: boolean;
}

/** One way of getting live media into a video element. */
export interface Engine {
  readonly hls: Hls | null;
  /** As beacons tell it: "hls.js 1.7.0", "native" or "whep". */
  readonly name: string;
  load(url: string): void;
  destroy(): void;
  recoverMedia(): void;
  /** Gives up requests that may hang and asks anew: data may flow again. */
  hurry(): void;
  /** Changes while media comes: about so many bytes. 0 where the engine cannot know. */
  received(): number;
  measured(): Measured;
  /** While true nothing pulls the picture towards the live edge. */
  stayBehind(behind: boolean): void;
  /** How close to live to play from now on. */
  follow(closeness: Closeness): void;
  chooseLevel(index: number): void;
  /** Wall clock of a position, Unix milliseconds (EXT-X-PROGRAM-DATE-TIME). */
  clockAt(position: number): number | null;
  /** The position of a wall clock time, Unix milliseconds. */
  positionAt(unixMs: number): number | null;
  /** A position on the broadcast's own time line, by which storyboards go, seconds. */
  mediaTimeAt(position: number): number | null;
  stats(): EngineStats;
}
