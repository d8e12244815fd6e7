import { modesInWords } from "../../chat/modes";
import type { ChatRoom } from "../../chat/room";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon } from "../../ui/icons";

/** The modes that are on, with what they mean behind them. */
export function ModesBar(props: { readonly room: ChatRoom }) {
  const words = modesInWords(props.room.desk.modes.value);
  if (words.length === 0) return null;
  return (
    <details class="chat-modes" data-testid="chat-modes">
      <summary>{words.map(({ name }) => name).join(" · ")}</summary>
      <ul>
        {words.map(({ name, means }) => (
          <li key={name}>{means}</li>
        ))}
      </ul>
    </details>
  );
}

/** What is being answered. */
export function ReplyBar(props: { readonly room: ChatRoom }) {
  const { replyTo } = props.room;
  const message = replyTo.value;
  if (message === null) return null;
  return (
    <div class="chat-replying" data-testid="chat-replying">
      <p>
        Replying to{" "}
        <b>
          <bdi>{message.username}</bdi>
        </b>{" "}
        <span dir="auto">{message.message}</span>
      </p>
      <IconButton
        label="Do not reply"
        onClick={() => {
          replyTo.value = null;
        }}
      >
        <CloseIcon />
      </IconButton>
    </div>
  );
}
