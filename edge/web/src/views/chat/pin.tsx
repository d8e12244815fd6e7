import { useSignal } from "@preact/signals";
import { partsOf } from "../../chat/parts";
import type { ChatRoom } from "../../chat/room";
import { PinIcon } from "./icons";
import { Name, Parts } from "./pieces";

/** The pinned message; it can be made small. */
export function Pin(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const message = room.desk.pin.value;
  const small = useSignal("");
  if (message === null) return null;
  const open = small.value !== message.messageId;
  return (
    <section class="chat-pin" aria-label="Pinned message" data-testid="chat-pin">
      <p class="chat-pin-head">
        <PinIcon />
        <span>Pinned</span>
        {room.desk.moderates.value && (
          <button
            type="button"
            class="link"
            onClick={() => {
              const again = { action: "pin", message_id: message.messageId };
              void room.desk.act({ action: "unpin" }, "Unpinned.", again);
            }}
          >
            Unpin
          </button>
        )}
        <button
          type="button"
          class="link"
          aria-expanded={open}
          onClick={() => {
            small.value = open ? message.messageId : "";
          }}
        >
          {open ? "Less" : "More"}
        </button>
      </p>
      <p class={open ? "chat-pin-text" : "chat-pin-text small"}>
        <Name userId={message.userId} username={message.username} />{" "}
        <span dir="auto">
          <Parts parts={partsOf(message)} own="" />
        </span>
      </p>
    </section>
  );
}
