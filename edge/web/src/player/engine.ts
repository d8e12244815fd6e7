import type Hls from "hls.js";
import type { Level } from "./quality";
import type { Trouble } from "./recovery";

/** What an engine reports to its player. */
export interface EngineEvents {
  /** The source is understood; playing may begin. */
  ready(levels: readonly Level[]): void;
  levelChanged(index: number): void;
  trouble(kind: Trouble | "unsupported", detail: string): void;
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

/** One way of getting live media into a video element. */
export interface Engine {
  readonly hls: Hls | null;
  load(url: string): void;
  destroy(): void;
  recoverMedia(): void;
  /** Latency measured, position to be at and how far behind live that is, seconds. */
  measured(): { measured: number | null; syncPosition: number | null; target: number };
  /** While true nothing pulls the picture towards the live edge. */
  stayBehind(behind: boolean): void;
  chooseLevel(index: number): void;
  stats(): EngineStats;
}
