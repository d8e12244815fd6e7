import Hls, { type CapLevelController } from "hls.js";
import { aheadOf } from "./buffered";
import { type Glance, Strain } from "./strain";

/** Media ahead of the picture that a device has to work with, seconds. */
const FED_S = 0.3;
/** Nothing is judged so soon after another level or place, seconds: decoders and buffers begin. */
const SETTLE_S = 3;
const BEYOND_ALL = Number.POSITIVE_INFINITY;

const Usual = Hls.DefaultConfig.capLevelController as typeof CapLevelController;

/** Keeps the automatic choice of levels to what this device can decode in time. */
export class Ability {
  /** For hls.js: levels by the size of the picture, and none above what was found to be possible. */
  readonly capLevelController: typeof CapLevelController;
  private readonly strain = new Strain();
  private cap: CapLevelController | null = null;
  private best = BEYOND_ALL;
  private settledS = Number.POSITIVE_INFINITY;

  constructor() {
    const adopt = (made: CapLevelController) => {
      this.cap = made;
    };
    const best = () => this.best;
    this.capLevelController = class extends Usual {
      constructor(hls: Hls) {
        super(hls);
        adopt(this);
      }

      override getMaxLevel(index: number): number {
        return super.getMaxLevel(Math.min(index, best()));
      }
    };
  }

  /** Another level or place begins. */
  begun(nowS: number): void {
    this.settledS = nowS + SETTLE_S;
    this.strain.restart();
  }

  /** Looks at the picture, several times a second while something is loaded. */
  look(hls: Hls, nowS: number): void {
    const { media } = hls;
    if (media === null || !(media instanceof HTMLVideoElement) || nowS < this.settledS) return;
    const level = hls.currentLevel;
    const frameRate = hls.levels[level]?.frameRate ?? 0;
    const advice = this.strain.look(glanceAt(media, frameRate, nowS), Number.isFinite(this.best));
    if (!hls.autoLevelEnabled || level < 0) return;
    if (advice === "lower" && level > 0) this.keepTo(level - 1);
    if (advice === "higher") this.keepTo(this.best + 1 < hls.levels.length - 1 ? this.best + 1 : BEYOND_ALL);
  }

  private keepTo(best: number): void {
    this.best = best;
    this.cap?.detectPlayerSize();
  }
}

function glanceAt(media: HTMLVideoElement, frameRate: number, nowS: number): Glance {
  const frames = media.getVideoPlaybackQuality();
  return {
    nowS,
    position: media.currentTime,
    total: frames.totalVideoFrames,
    dropped: frames.droppedVideoFrames,
    frameRate,
    due: !media.paused && document.visibilityState === "visible" && aheadOf(media) >= FED_S,
  };
}
