import type { ChatRoom } from "../chat/room";
import type { WatchSession } from "../player/watch_session";

declare global {
  interface Window {
    /** What tests and curious people may read. */
    nearcast?: object;
  }
}

/** Lets the window tell how the player does; the returned function ends that. */
export function expose(session: WatchSession, room: ChatRoom | null): () => void {
  const { player } = session;
  window.nearcast = {
    player: {
      latency: () => player.latency.value,
      stalls: () => player.journal.figures(Date.now()).stalls,
      level: () => player.level.value,
      engine: () => player.engineName.value,
      behind: () => player.behind.value,
      clock: () => player.clockAt(player.video.currentTime),
      video: player.video,
      get hls() {
        return player.hls;
      },
    },
    chat: { state: () => room?.connection.value.name ?? "none" },
  };
  return () => {
    delete window.nearcast;
  };
}
