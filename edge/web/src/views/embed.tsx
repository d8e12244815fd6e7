import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ChatRoom } from "../chat/room";
import { readEmbed } from "../lib/embed_address";
import { keptViewer } from "../player/viewer";
import { WatchSession } from "../player/watch_session";
import { Mark } from "../ui/icons";
import { Chat } from "./chat/chat";
import { expose } from "./expose";
import { Player } from "./watch/player";

/** The player for a frame on another site, with its chat where the address asks for it. */
export function Embed(props: { readonly channel: string }) {
  const { channel } = props;
  const wish = useMemo(() => readEmbed(window.location.search), []);
  const video = useRef<HTMLVideoElement>(null);
  const session = useSignal<WatchSession | null>(null);
  const room = useMemo(() => (wish.chat ? new ChatRoom(channel) : null), [channel, wish]);

  useEffect(() => {
    if (video.current === null) return;
    const opened = new WatchSession(channel, video.current, room ?? keptViewer(), wish);
    session.value = opened;
    const hide = expose(opened, room);
    return () => {
      opened.close();
      room?.close();
      hide();
    };
  }, [channel, room, session, wish]);

  const title = session.value?.news.value.status?.title || channel;
  useEffect(() => {
    document.title = `${title} · Nearcast`;
  }, [title]);

  return (
    <div class="embed" data-chat={wish.chat}>
      <Player
        channel={channel}
        video={video}
        session={session.value}
        theatre={null}
        onTheatre={() => {}}
        framed
        head={
          <h1 class="embed-title">
            <a href={`/${channel}`} target="_blank" rel="noreferrer">
              <Mark />
              <span dir="auto">{title}</span>
            </a>
          </h1>
        }
      />
      {room !== null && <Chat room={room} />}
    </div>
  );
}
