import type { HlsConfig, LoadPolicy } from "hls.js";

/** Part target of a broadcast that did not say, seconds. */
const USUAL_PART_TARGET_S = 0.35;
/** PART-HOLD-BACK of the edge's playlists, in part targets (RFC 8216bis 4.4.3.8). */
const HOLD_BACK_PARTS = 3;
/** Above the hold back, for the network's jitter, seconds. */
const MARGIN_S = 0.15;
/** A player that is this far behind without its viewer's wish jumps to the live edge, seconds. */
export const MAX_LATENCY_S = 5;
/** Playback rate that catches up with the live edge. */
export const CATCH_UP_RATE = 1.5;

/** How far behind the live edge to play, seconds. */
export function targetLatencyS(partTargetS: number | null): number {
  return HOLD_BACK_PARTS * (partTargetS ?? USUAL_PART_TARGET_S) + MARGIN_S;
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

/** hls.js settings for low latency. Playlist requests are held by the edge up to three target durations. */
export function hlsSettings(partTargetS: number | null): Partial<HlsConfig> {
  return {
    lowLatencyMode: true,
    maxLiveSyncPlaybackRate: CATCH_UP_RATE,
    liveSyncDuration: targetLatencyS(partTargetS),
    liveMaxLatencyDuration: MAX_LATENCY_S,
    liveSyncOnStallIncrease: 0.3,
    backBufferLength: 90,
    capLevelToPlayerSize: true,
    enableWorker: false,
    manifestLoadPolicy: patient(20_000, 25_000),
    playlistLoadPolicy: patient(10_000, 20_000),
    fragLoadPolicy: patient(10_000, 30_000),
  };
}
