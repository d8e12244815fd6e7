import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { commandIn, type Sources, usage } from "../../chat/completion";
import { Draft } from "../../chat/draft";
import { EMOJI } from "../../chat/emotes";
import { type ChatRoom, MAX_CHARACTERS } from "../../chat/room";
import { countdown } from "../../chat/times";
import { now } from "../../lib/clock";
import { IconButton } from "../../ui/icon_button";
import { SendIcon } from "../../ui/icons";
import { SmileIcon } from "./icons";
import { Picker } from "./picker";
import { Suggestions } from "./suggestions";

/** From here on the counter is shown, code points. */
const COUNT_FROM = 400;

export function Writer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const field = useRef<HTMLTextAreaElement>(null);
  const draft = useMemo(() => new Draft(room.draft, () => sourcesOf(room)), [room]);
  const picking = useSignal(false);
  const { suggestions } = draft.completion.value;
  const length = [...draft.text.value.trim()].length;
  const ready = canSend(room) && length > 0 && length <= MAX_CHARACTERS;

  function write(text: string, cursor: number) {
    draft.write(text, cursor);
    room.draft = text;
    if (/(^|\s)@$/.test(text.slice(0, cursor))) void room.desk.loadChatters();
  }

  /** After the draft was changed by something else than typing. */
  function place(cursor: number) {
    room.draft = draft.text.value;
    const element = field.current;
    if (element === null) return;
    element.value = draft.text.value;
    element.focus();
    element.setSelectionRange(cursor, cursor);
  }

  function send() {
    if (!ready) return;
    room.send(draft.text.value);
    write("", 0);
    field.current?.focus();
  }

  function pressed(event: KeyboardEvent) {
    if (event.isComposing) return;
    const choice = draft.key(event.key);
    if (choice?.taken) place(draft.accept(choice.taken));
    if (choice !== null) event.preventDefault();
    else if (event.key === "Escape" && room.replyTo.value !== null) room.replyTo.value = null;
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  }

  return (
    <>
      {picking.value && (
        <Picker
          room={room}
          onPick={(word) => {
            picking.value = false;
            place(draft.insert(word, field.current?.selectionStart ?? draft.text.value.length));
          }}
          onClose={() => {
            picking.value = false;
            field.current?.focus();
          }}
        />
      )}
      <Suggestions
        suggestions={suggestions}
        chosen={draft.chosen.value}
        onChoose={(suggestion) => place(draft.accept(suggestion))}
      />
      <form
        class="composer-row"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Field field={field} draft={draft} onWrite={write} onKey={pressed} />
        <IconButton
          label="Emotes"
          expanded={picking.value}
          testid="chat-emotes"
          onClick={() => {
            picking.value = !picking.value;
          }}
        >
          <SmileIcon />
        </IconButton>
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
      <Foot room={room} text={draft.text.value} length={length} />
    </>
  );
}

/** Whether the room would take a message now. */
function canSend(room: ChatRoom): boolean {
  return room.connection.value.name === "open" && room.wait.value.until <= now.value;
}

function sourcesOf(room: ChatRoom): Sources {
  const { channel, global } = room.desk.emotes.value;
  const here = (room.desk.chatters.value?.chatters ?? []).map(({ username }) => username);
  const users = [...new Set([...room.recentAuthors, ...here])];
  return {
    emotes: [...new Set([...channel, ...global])],
    emoji: EMOJI,
    users,
    commands: room.desk.commands.value,
  };
}

interface FieldProps {
  readonly field: RefObject<HTMLTextAreaElement | null>;
  readonly draft: Draft;
  readonly onWrite: (value: string, cursor: number) => void;
  readonly onKey: (event: KeyboardEvent) => void;
}

function Field(props: FieldProps) {
  const { field, draft } = props;
  const open = draft.completion.value.suggestions.length > 0;
  useEffect(() => {
    const element = field.current;
    if (element === null || CSS.supports("field-sizing", "content")) return;
    element.style.blockSize = "auto";
    element.style.blockSize = `${element.scrollHeight + 2}px`;
  });
  return (
    <textarea
      ref={field}
      name="message"
      rows={1}
      value={draft.text.value}
      placeholder="Say something"
      aria-label="Message"
      aria-haspopup="listbox"
      aria-controls={open ? "chat-suggestions" : undefined}
      aria-autocomplete="list"
      aria-activedescendant={open ? `chat-suggestion-${draft.chosen.value}` : undefined}
      dir="auto"
      enterkeyhint="send"
      data-testid="chat-input"
      onInput={(event) => props.onWrite(event.currentTarget.value, event.currentTarget.selectionStart)}
      onKeyDown={props.onKey}
      onBlur={() => draft.dismiss()}
    />
  );
}

interface FootProps {
  readonly room: ChatRoom;
  readonly text: string;
  readonly length: number;
}

/** Below the field: why nothing can be sent, how a command is written, how long the text is. */
function Foot(props: FootProps) {
  const { room, text, length } = props;
  return (
    <p class="composer-foot">
      <Hint room={room} text={text} />
      {length >= COUNT_FROM && (
        <span class="number" data-over={length > MAX_CHARACTERS} data-testid="chat-length">
          {length}/{MAX_CHARACTERS}
        </span>
      )}
      <button type="button" class="link" onClick={() => room.useToken(null)}>
        Forget token
      </button>
    </p>
  );
}

function Hint(props: { readonly room: ChatRoom; readonly text: string }) {
  const { room, text } = props;
  const wait = room.wait.value;
  const leftS = (wait.until - now.value) / 1000;
  const command = commandIn(text, room.desk.commands.value);
  if (room.connection.value.name === "closed") return <span />;
  if (room.connection.value.name !== "open")
    return <span>You can write, and send once the chat is back.</span>;
  if (leftS > 0) {
    return (
      <span data-testid="chat-wait">
        {wait.words} <b class="number">{countdown(leftS)}</b>
      </span>
    );
  }
  if (command === null) return <span />;
  return (
    <span>
      <code>{usage(command)}</code> {command.help}
    </span>
  );
}
