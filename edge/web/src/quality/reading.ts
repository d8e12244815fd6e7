import type { ChannelNews } from "../api/status_feed";
import type { LivePlayer } from "../player/live_player";
import type { BeaconState, Reading } from "./beacon";

/** What a player does now, for a beacon; null before it knows what it plays. */
export function readPlayer(
  player: LivePlayer,
  news: ChannelNews,
  streamId: string | null,
  soundOnly: boolean,
): Reading | null {
  if (streamId === null) return null;
  const { video } = player;
  const level = player.levels.value[player.level.value];
  return {
    streamId,
    player: player.engineName.value || "hls.js",
    state: stateOf(player, news, soundOnly),
    latencyS: player.shown.value ? player.latency.value : null,
    bitrate: level?.bitrate ?? player.stats()?.bandwidth ?? null,
    height: video.videoHeight > 0 && !soundOnly ? video.videoHeight : null,
    droppedFrames: video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
  };
}

function stateOf(player: LivePlayer, news: ChannelNews, soundOnly: boolean): BeaconState {
  if (news.status?.state === "offline" && !player.moving.value) return "ended";
  if (!player.shown.value) return "starting";
  if (player.paused.value) return "paused";
  if (!player.moving.value) return "stalled";
  return soundOnly ? "audio" : "playing";
}
