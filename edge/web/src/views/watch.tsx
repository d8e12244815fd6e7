import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ChatRoom } from "../chat/room";
import { readSetting, writeSetting } from "../lib/storage";
import { WatchSession } from "../player/watch_session";
import { Chat } from "./chat/chat";
import { Info } from "./watch/info";
import { Player } from "./watch/player";

declare global {
  interface Window {
    /** What tests and curious people may read. */
    nearcast?: object;
  }
}

function expose(session: WatchSession, room: ChatRoom): void {
  const { player } = session;
  window.nearcast = {
    player: {
      latency: () => player.latency.value,
      stalls: () => player.stalls.value,
      level: () => player.level.value,
      video: player.video,
      get hls() {
        return player.hls;
      },
    },
    chat: { state: () => room.connection.value.name },
  };
}

export function Watch(props: { readonly channel: string }) {
  const { channel } = props;
  const video = useRef<HTMLVideoElement>(null);
  const session = useSignal<WatchSession | null>(null);
  const theatre = useSignal(readSetting("theatre") === "1");
  const room = useMemo(() => new ChatRoom(channel), [channel]);

  useEffect(() => {
    if (video.current === null) return;
    const opened = new WatchSession(channel, video.current);
    session.value = opened;
    expose(opened, room);
    return () => {
      opened.close();
      room.close();
      delete window.nearcast;
    };
  }, [channel, room, session]);

  function toggleTheatre() {
    theatre.value = !theatre.value;
    writeSetting("theatre", theatre.value ? "1" : "0");
  }

  return (
    <div class="watch" data-theatre={theatre.value}>
      <Player
        channel={channel}
        video={video}
        session={session.value}
        theatre={theatre.value}
        onTheatre={toggleTheatre}
      />
      <Info channel={channel} session={session.value} />
      <Chat room={room} />
    </div>
  );
}
