import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ChatRoom } from "../chat/room";
import { readSetting, writeSetting } from "../lib/storage";
import { readStart } from "../player/start_at";
import { AT_ONCE, WatchSession } from "../player/watch_session";
import { Chat } from "./chat/chat";
import { expose } from "./expose";
import { Info } from "./watch/info";
import { Player } from "./watch/player";

export function Watch(props: { readonly channel: string }) {
  const { channel } = props;
  const video = useRef<HTMLVideoElement>(null);
  const session = useSignal<WatchSession | null>(null);
  const theatre = useSignal(readSetting("theatre") === "1");
  const room = useMemo(() => new ChatRoom(channel), [channel]);

  useEffect(() => {
    if (video.current === null) return;
    const start = readStart(new URLSearchParams(window.location.search).get("start"));
    const opened = new WatchSession(channel, video.current, room, { ...AT_ONCE, start });
    session.value = opened;
    const hide = expose(opened, room);
    return () => {
      opened.close();
      room.close();
      hide();
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
