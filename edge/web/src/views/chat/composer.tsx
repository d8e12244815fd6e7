import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type ChatRoom, MAX_CHARACTERS } from "../../chat/room";
import { now } from "../../lib/clock";
import { SendIcon } from "../../ui/icons";
import { CREATE_COMMAND } from "../ingest";

/** From here on the counter is shown, characters. */
const COUNT_FROM = 400;

export function Composer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const problem = room.problem.value;
  return (
    <footer class="composer">
      {problem !== "" && (
        <p class="composer-problem" role="status">
          {problem}
        </p>
      )}
      {room.token.value === null ? <TokenField room={room} /> : <Writer room={room} />}
    </footer>
  );
}

function Writer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const text = useSignal("");
  const field = useRef<HTMLTextAreaElement>(null);
  const length = [...text.value].length;
  const wait = Math.ceil((room.quietUntil.value - now.value) / 1000);
  const open = room.connection.value.name === "open";
  const ready = open && wait <= 0 && length > 0 && length <= MAX_CHARACTERS;

  function send() {
    if (!ready) return;
    room.send(text.value);
    text.value = "";
    field.current?.focus();
  }

  return (
    <>
      <form
        class="composer-row"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <textarea
          ref={field}
          rows={1}
          value={text.value}
          placeholder="Say something"
          aria-label="Message"
          dir="auto"
          enterkeyhint="send"
          data-testid="chat-input"
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        <button
          type="submit"
          class="icon-button send"
          aria-label="Send"
          title="Send (Enter)"
          disabled={!ready}
          data-testid="chat-send"
        >
          <SendIcon />
        </button>
      </form>
      <p class="composer-foot">
        <span>{hint(open, wait)}</span>
        {length >= COUNT_FROM && (
          <span class="number" data-over={length > MAX_CHARACTERS}>
            {length}/{MAX_CHARACTERS}
          </span>
        )}
        <button type="button" class="link" onClick={() => room.useToken(null)}>
          Forget token
        </button>
      </p>
    </>
  );
}

function hint(open: boolean, waitS: number): string {
  if (!open) return "Not connected: you can write, and send in a moment.";
  if (waitS > 0) return `You can write again in ${waitS} s.`;
  return "";
}

function TokenField(props: { readonly room: ChatRoom }) {
  const asked = useSignal(false);
  const token = useSignal("");
  if (!asked.value) {
    return (
      <p class="composer-foot">
        <span>You are reading as a guest.</span>
        <button
          type="button"
          class="link"
          onClick={() => {
            asked.value = true;
          }}
        >
          Write with a chat token
        </button>
      </p>
    );
  }
  return (
    <form
      class="token-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.value.trim() !== "") props.room.useToken(token.value.trim());
      }}
    >
      <label for="chat-token">Chat token</label>
      <div class="composer-row">
        <input
          id="chat-token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          data-testid="chat-token"
          value={token.value}
          onInput={(event) => {
            token.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="button" disabled={token.value.trim() === ""}>
          Use
        </button>
      </div>
      <p class="composer-note">
        Whoever runs this server gets one with <code>{CREATE_COMMAND}</code>. It stays in this browser.
      </p>
    </form>
  );
}
