import Hls, {
  type ErrorData,
  ErrorDetails,
  ErrorTypes,
  Events,
  type Level as HlsLevel,
  type LevelDetails,
} from "hls.js";
import { Ability } from "./ability";
import { askAnew } from "./ask_anew";
import { lastOf } from "./buffered";
import { Calm } from "./calm";
import { captionParts } from "./caption_parts";
import { clockOf, positionOf } from "./dated";
import type { Engine, EngineEvents, EngineStats, Measured } from "./engine";
import { Inflow } from "./inflow";
import { Leap } from "./leap";
import { loaderOf, PictureFirst } from "./picture_first";
import type { Closeness } from "./preferences";
import { AUTO, type Level } from "./quality";
import { fastestRate, type HlsWishes, hlsSettings, targetLatencyS } from "./settings";

/** HTTP status of a server that takes no further viewers for now. */
const FULL = 503;

/** hls.js goes so far at most to get a picture that stands still to move, seconds. */
const NUDGE_S = 1;

/** Whether the browser has what hls.js needs for H.264 in Media Source. */
export function canUseHls(): boolean {
  return Hls.isSupported();
}

/** hls.js on Media Source: low-latency HLS with parts. */
export class HlsEngine implements Engine {
  readonly hls: Hls;
  readonly name = `hls.js ${Hls.version}`;
  private readonly partTargetS: number | null;
  private closeness: Closeness;
  private behind = false;
  private leaping = false;
  private stalled = false; // and has not moved by itself since
  /** Where the picture was when it was looked at last, seconds on the media's time line. */
  private position = 0;
  private readonly calm = new Calm(nowS());
  private readonly leap = new Leap();
  private readonly ability = new Ability();
  private readonly inflow = new Inflow();
  private readonly leave = new AbortController();
  private url = "";
  /** The last playlist: hls.js has none while it begins with another level. */
  private playlist: LevelDetails | null = null;
  /** Seconds of the broadcast's time line at the zero of the media's. */
  private offset: number | null = null;

  constructor(
    video: HTMLVideoElement,
    wishes: HlsWishes,
    private readonly events: EngineEvents,
  ) {
    this.partTargetS = wishes.partTargetS;
    this.closeness = wishes.closeness;
    const pictureFirst = new PictureFirst();
    const { capLevelController } = this.ability;
    this.hls = new Hls({
      ...hlsSettings(wishes),
      fLoader: loaderOf(pictureFirst, this.inflow),
      capLevelController,
      timelineController: captionParts,
    });
    this.hls.on(Events.MANIFEST_PARSED, (_, data) => {
      expectCaptions(data.levels);
      events.ready(data.levels.map(describe));
    });
    this.hls.on(Events.LEVEL_SWITCHED, (_, data) => {
      this.ability.begun(nowS());
      events.levelChanged(data.level);
    });
    this.hls.once(Events.LEVEL_LOADED, () => this.pull());
    this.hls.on(Events.LEVEL_UPDATED, (_, data) => {
      this.playlist = data.details;
      if (this.calm.returned(nowS())) this.pull();
      if (video.currentTime !== this.position) this.stalled = false;
      this.position = video.currentTime;
      this.catchUp();
      this.ability.look(this.hls, nowS());
    });
    video.addEventListener("durationchange", () => this.catchUp(), { signal: this.leave.signal });
    video.addEventListener("seeking", () => this.sought(video.currentTime), { signal: this.leave.signal });
    this.hls.on(Events.INIT_PTS_FOUND, (_, data) => {
      this.offset = data.initPTS / data.timescale;
      pictureFirst.begin(data.frag.cc);
    });
    this.hls.on(Events.ERROR, (_, data) => this.failed(data));
    this.hls.once(Events.MEDIA_ATTACHED, () => {
      this.hls.on(Events.MEDIA_ATTACHED, () => events.attachedAgain());
    });
    this.hls.attachMedia(video);
  }

  load(url: string): void {
    this.url = url;
    this.hls.loadSource(url);
  }

  destroy(): void {
    this.leave.abort();
    this.hls.destroy();
  }

  recoverMedia(): void {
    this.hls.recoverMediaError();
  }

  hurry(): void {
    if (this.hls.levels.length === 0) {
      this.hls.loadSource(this.url);
      return;
    }
    askAnew(this.hls, this.hls.media?.currentTime ?? 0);
  }

  received(): number {
    return this.inflow.bytes;
  }

  measured(): Measured {
    return {
      measured: this.latency(),
      syncPosition: this.hls.liveSyncPosition,
      target: this.hls.targetLatency ?? this.target() ?? 0,
      windowStart: this.windowStart(),
      begun: this.hls.hasEnoughToStart,
    };
  }

  stayBehind(behind: boolean): void {
    this.behind = behind;
    this.pull();
  }

  follow(closeness: Closeness): void {
    this.closeness = closeness;
    this.hls.lowLatencyMode = closeness.lowLatency;
    this.pull();
  }

  chooseLevel(index: number): void {
    if (index === AUTO) this.hls.loadLevel = AUTO;
    else if (index < this.hls.levels.length) this.hls.loadLevel = index;
  }

  clockAt(position: number): number | null {
    return clockOf(this.details?.fragments ?? [], position);
  }

  positionAt(unixMs: number): number | null {
    return positionOf(this.details?.fragments ?? [], unixMs);
  }

  mediaTimeAt(position: number): number | null {
    return this.offset === null ? null : position + this.offset;
  }

  stats(): EngineStats {
    const { details } = this;
    const level = this.hls.levels[Math.max(0, this.hls.currentLevel)];
    const parts = this.closeness.lowLatency && (details?.partTarget ?? 0) > 0;
    return {
      engine: this.name,
      bandwidth: this.hls.bandwidthEstimate,
      partTargetS: details?.partTarget || null,
      targetDurationS: details?.targetduration ?? null,
      playlist: playlistKind(details?.canBlockReload ?? false, parts),
      codecs: [level?.videoCodec, level?.audioCodec].filter(Boolean).join(", "),
    };
  }

  private get details(): LevelDetails | null {
    return this.hls.latestLevelDetails ?? this.playlist;
  }

  /** Picture and sound need not begin together, and hls.js plays nothing where one of them is not. */
  private windowStart(): number | null {
    const { details } = this;
    const sound = this.hls.audioTracks[this.hls.audioTrack]?.details;
    return details === null ? null : Math.max(details.fragmentStart, sound?.fragmentStart ?? 0);
  }

  /** As hls.js counts it, but of this moment: its own figure is from before a seek until the next time update. */
  private latency(): number | null {
    const { details } = this;
    const { media } = this.hls;
    return details === null || media === null ? null : details.edge + details.age - media.currentTime;
  }

  /** Seconds behind live by the viewer's wish; null while the playlist's HOLD-BACK is not known. */
  private target(): number | null {
    if (this.closeness.lowLatency) return targetLatencyS(this.partTargetS, this.closeness.targetS);
    const { details } = this;
    return details === null ? null : details.holdBack || 3 * details.targetduration;
  }

  /** Tells hls.js where the picture belongs and how it may get there. */
  private pull(): void {
    const { config, media } = this.hls;
    const fastest = fastestRate(this.closeness.lowLatency, this.behind);
    config.maxLiveSyncPlaybackRate = fastest;
    // hls.js leaves the rate as it is where it may not raise it
    if (fastest === 1 && media !== null) media.playbackRate = 1;
    const target = this.target();
    if (target === null) return;
    this.hls.targetLatency = target;
  }

  /** Leaps to its place when that is too far ahead to be reached by playing faster. */
  private catchUp(): void {
    const { media, liveSyncPosition: place } = this.hls;
    const excess = (this.latency() ?? 0) - (this.hls.targetLatency ?? 0);
    if (this.behind || !this.hls.hasEnoughToStart || media === null || place === null) return;
    // a browser goes no further than that, which hls.js extends a moment after the playlist
    if (place <= media.currentTime || place > lastOf(media.seekable)) return;
    if (!this.leap.due(nowS(), excess)) return;
    this.leaping = true;
    media.currentTime = place;
  }

  /** Leaps, and nudges of hls.js, are part of what a device has to master; where the viewer goes is not. */
  private sought(position: number): void {
    const far = Math.abs(position - this.position) > NUDGE_S;
    if (far && !this.leaping) this.ability.begun(nowS());
    if (far && this.stalled) this.leap.over(nowS());
    if (far) this.stalled = false;
    this.leaping = false;
    this.position = position;
  }

  private failed(data: ErrorData): void {
    if (data.details === ErrorDetails.BUFFER_STALLED_ERROR) {
      this.calm.stalled(nowS());
      this.stalled = true;
      this.position = this.hls.media?.currentTime ?? this.position;
    }
    const detail = `${data.details}: ${data.error.message}`;
    if (data.details === "manifestIncompatibleCodecsError") this.events.trouble("unsupported", detail);
    else if (!data.fatal) return;
    else if (data.details === ErrorDetails.MANIFEST_LOAD_ERROR && data.response?.code === FULL)
      this.events.trouble("full", detail);
    else if (data.type === ErrorTypes.MEDIA_ERROR) this.events.trouble("media", detail);
    else this.events.trouble("network", detail);
  }
}

function nowS(): number {
  return performance.now() / 1000;
}

function playlistKind(blocking: boolean, parts: boolean): string {
  if (parts) return blocking ? "LL-HLS, blocking reload" : "LL-HLS";
  return "HLS";
}

/** They come in the pictures, perhaps from later on than the playlist was read, which says that there are none. */
function expectCaptions(levels: HlsLevel[]): void {
  for (const level of levels) delete level.attrs["CLOSED-CAPTIONS"];
}

function describe(level: HlsLevel): Level {
  return { width: level.width, height: level.height, frameRate: level.frameRate, bitrate: level.bitrate };
}
