import { useSignal } from "@preact/signals";
import type { ChatRoom } from "../../chat/room";
import { CREATE_COMMAND } from "../ingest";

/** A guest reads; a token lets them write. */
export function TokenField(props: { readonly room: ChatRoom }) {
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
