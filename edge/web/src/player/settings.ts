import type { HlsConfig, LoadPolicy } from "hls.js";
import { type Closeness, FARTHEST_S } from "./preferences";

/** Part target of a broadcast that did not say, seconds. */
const USUAL_PART_TARGET_S = 0.35;
/** PART-HOLD-BACK of the edge's playlists, in part targets (RFC 8216bis 4.4.3.8). */
const HOLD_BACK_PARTS = 3;
/** Above the hold back, for the network's jitter, seconds. */
const MARGIN_S = 0.15;
/** Playback rate that catches up with the live edge. */
const CATCH_UP_RATE = 1.5;

/** The highest playback rate: nothing hurries who is behind by choice, or wants no low latency. */
export function fastestRate(lowLatency: boolean, behind: boolean): number {
  return lowLatency && !behind ? CATCH_UP_RATE : 1;
}

/** The least distance from the live edge, seconds. */
export function leastLatencyS(partTargetS: number | null): number {
  return HOLD_BACK_PARTS * (partTargetS ?? USUAL_PART_TARGET_S) + MARGIN_S;
}

/** How far behind the live edge to play with low latency on, seconds. */
export function targetLatencyS(partTargetS: number | null, wishS: number | null): number {
  const least = leastLatencyS(partTargetS);
  return Math.min(Math.max(FARTHEST_S, least), Math.max(least, wishS ?? least));
}

/** A restart of the origin takes a second or two: keep asking through it. */
function patient(firstByteMs: number, loadMs: number): LoadPolicy {
  const retry = { maxNumRetry: 20, retryDelayMs: 500, maxRetryDelayMs: 2000 };
  return {
    default: {
      maxTimeToFirstByteMs: firstByteMs,
      maxLoadTimeMs: loadMs,
      timeoutRetry: { ...retry, retryDelayMs: 0 },
      errorRetry: retry,
    },
  };
}

export interface HlsWishes {
  /** The address to ask in place of one that a playlist names. */
  readonly readdress?: (url: string) => string;
  /** The broadcast has just begun. */
  readonly early?: boolean;
  readonly partTargetS: number | null;
  readonly closeness: Closeness;
}

/** While a broadcast has only just begun, seconds. */
export const EARLY_S = 6;

/**
 * The edge keeps a playlist back until it lists a whole segment, for players that know no parts. This one asks for
 * the first part, which is there sooner: one question of a moment, so that caches keep no old answer to it.
 */
function addresses(wishes: HlsWishes): ((url: string) => string) | undefined {
  const { readdress, early = false } = wishes;
  if (!early) return readdress;
  const until = Date.now() + EARLY_S * 1000;
  return (url) => firstPart(readdress?.(url) ?? url, Date.now() < until);
}

/** The address of a media playlist with its first part asked for. */
export function firstPart(url: string, early: boolean): string {
  return early && /\/media\/[^?]*\/index\.m3u8$/.test(url) ? `${url}?_HLS_msn=0&_HLS_part=0` : url;
}

/**
 * hls.js settings. Playlist requests are held by the edge up to three target durations. Without low latency
 * the distance is the playlist's HOLD-BACK, which hls.js takes when it is told none.
 */
export function hlsSettings(wishes: HlsWishes): Partial<HlsConfig> {
  const { closeness } = wishes;
  const readdress = addresses(wishes);
  const target = targetLatencyS(wishes.partTargetS, closeness.targetS);
  return {
    lowLatencyMode: closeness.lowLatency,
    maxLiveSyncPlaybackRate: fastestRate(closeness.lowLatency, false),
    ...(closeness.lowLatency ? { liveSyncDuration: target } : {}),
    ...(readdress === undefined
      ? {}
      : { xhrSetup: (xhr: XMLHttpRequest, url: string) => xhr.open("GET", readdress(url), true) }),
    liveSyncOnStallIncrease: 0.3,
    backBufferLength: 90,
    capLevelToPlayerSize: true,
    enableWorker: false,
    manifestLoadPolicy: patient(20_000, 25_000),
    playlistLoadPolicy: patient(10_000, 20_000),
    fragLoadPolicy: patient(10_000, 30_000),
  };
}
