import { useEffect, useMemo } from "preact/hooks";
import { ChatRoom } from "../chat/room";
import { Chat } from "./chat/chat";

/** The chat alone, for a frame on another site. */
export function EmbedChat(props: { readonly channel: string }) {
  const { channel } = props;
  const room = useMemo(() => new ChatRoom(channel), [channel]);
  useEffect(() => {
    document.title = `Chat of ${channel} · Nearcast`;
    return () => room.close();
  }, [channel, room]);
  return (
    <div class="embed-chat">
      <h1 class="visually-hidden">Chat of {channel}</h1>
      <Chat room={room} alone />
    </div>
  );
}
