import Hls, { type ErrorData, ErrorTypes, Events, type Level as HlsLevel } from "hls.js";
import type { Engine, EngineEvents, EngineStats } from "./engine";
import { AUTO, type Level } from "./quality";
import { CATCH_UP_RATE, hlsSettings, MAX_LATENCY_S, targetLatencyS } from "./settings";

/** Whether the browser has what hls.js needs for H.264 in Media Source. */
export function canUseHls(): boolean {
  return Hls.isSupported();
}

/** hls.js on Media Source: low-latency HLS with parts. */
export class HlsEngine implements Engine {
  readonly hls: Hls;

  constructor(
    video: HTMLVideoElement,
    partTargetS: number | null,
    private readonly events: EngineEvents,
  ) {
    this.hls = new Hls(hlsSettings(partTargetS));
    this.fallbackTarget = targetLatencyS(partTargetS);
    this.hls.on(Events.MANIFEST_PARSED, (_, data) => events.ready(data.levels.map(describe)));
    this.hls.on(Events.LEVEL_SWITCHED, (_, data) => events.levelChanged(data.level));
    this.hls.on(Events.ERROR, (_, data) => this.failed(data));
    this.hls.attachMedia(video);
  }

  private readonly fallbackTarget: number;

  load(url: string): void {
    this.hls.loadSource(url);
  }

  destroy(): void {
    this.hls.destroy();
  }

  recoverMedia(): void {
    this.hls.recoverMediaError();
  }

  measured() {
    return {
      measured: this.hls.latency > 0 ? this.hls.latency : null,
      syncPosition: this.hls.liveSyncPosition,
      target: this.hls.targetLatency ?? this.fallbackTarget,
    };
  }

  stayBehind(behind: boolean): void {
    this.hls.config.liveMaxLatencyDuration = behind ? Number.POSITIVE_INFINITY : MAX_LATENCY_S;
    this.hls.config.maxLiveSyncPlaybackRate = behind ? 1 : CATCH_UP_RATE;
    if (behind && this.hls.media !== null) this.hls.media.playbackRate = 1;
  }

  chooseLevel(index: number): void {
    if (index === AUTO) this.hls.loadLevel = AUTO;
    else if (index < this.hls.levels.length) this.hls.loadLevel = index;
  }

  stats(): EngineStats {
    const details = this.hls.latestLevelDetails;
    const level = this.hls.levels[Math.max(0, this.hls.currentLevel)];
    return {
      engine: `hls.js ${Hls.version}`,
      bandwidth: this.hls.bandwidthEstimate,
      partTargetS: details?.partTarget || null,
      targetDurationS: details?.targetduration ?? null,
      playlist: playlistKind(details?.canBlockReload ?? false, (details?.partTarget ?? 0) > 0),
      codecs: [level?.videoCodec, level?.audioCodec].filter(Boolean).join(", "),
    };
  }

  private failed(data: ErrorData): void {
    const detail = `${data.details}: ${data.error.message}`;
    if (data.details === "manifestIncompatibleCodecsError") this.events.trouble("unsupported", detail);
    else if (!data.fatal) return;
    else if (data.type === ErrorTypes.MEDIA_ERROR) this.events.trouble("media", detail);
    else this.events.trouble("network", detail);
  }
}

function playlistKind(blocking: boolean, parts: boolean): string {
  if (parts) return blocking ? "LL-HLS, blocking reload" : "LL-HLS";
  return "HLS";
}

function describe(level: HlsLevel): Level {
  return { width: level.width, height: level.height, frameRate: level.frameRate, bitrate: level.bitrate };
}
