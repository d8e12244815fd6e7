import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { applied, type Completion, commandIn, complete, type Suggestion, usage } from "../../chat/completion";
import { EMOJI } from "../../chat/emotes";
import { type ChatRoom, MAX_CHARACTERS } from "../../chat/room";
import { countdown } from "../../chat/times";
import { now } from "../../lib/clock";
import { SendIcon } from "../../ui/icons";
import { SmileIcon } from "./icons";
import { Picker } from "./picker";
import { Suggestions } from "./suggestions";

/** From here on the counter is shown, code points. */
const COUNT_FROM = 400;
const NOTHING: Completion = { start: 0, end: 0, suggestions: [] };

export function Writer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const field = useRef<HTMLTextAreaElement>(null);
  const text = useSignal(room.draft);
  const cursor = useSignal(0);
  const dismissed = useSignal(true);
  const chosen = useSignal(0);
  const picking = useSignal(false);
  const length = [...text.value.trim()].length;
  const waits = room.wait.value.until > now.value;
  const open = room.connection.value.name === "open";
  const ready = open && !waits && length > 0 && length <= MAX_CHARACTERS;
  const completion = dismissed.value ? NOTHING : complete(text.value, cursor.value, sourcesOf(room));
  const { suggestions } = completion;

  function write(value: string, place: number) {
    text.value = value;
    room.draft = value;
    cursor.value = place;
    dismissed.value = false;
    chosen.value = 0;
    if (/(^|\s)@$/.test(value.slice(0, place))) void room.desk.loadChatters();
  }

  function accept(suggestion: Suggestion) {
    const value = applied(text.value, completion, suggestion);
    put(value, completion.start + suggestion.insert.length);
  }

  /** Changes the text in the field's own words, so that the cursor stands where it is written on. */
  function put(value: string, cursor: number) {
    write(value, cursor);
    const element = field.current;
    if (element === null) return;
    element.value = value;
    element.focus();
    element.setSelectionRange(cursor, cursor);
  }

  function insert(word: string) {
    const at = field.current?.selectionStart ?? text.value.length;
    const before = text.value.slice(0, at);
    const spaced = `${before === "" || /\s$/.test(before) ? "" : " "}${word} `;
    picking.value = false;
    put(before + spaced + text.value.slice(at), at + spaced.length);
  }

  function send() {
    if (!ready) return;
    room.send(text.value);
    write("", 0);
    field.current?.focus();
  }

  function pressed(event: KeyboardEvent) {
    if (event.isComposing) return;
    const suggestion = suggestions[chosen.value];
    if (suggestion !== undefined && choose(event.key, suggestion)) event.preventDefault();
    else if (event.key === "Escape" && room.replyTo.value !== null) room.replyTo.value = null;
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  }

  /** A key while there are suggestions; whether it was for them. */
  function choose(key: string, suggestion: Suggestion): boolean {
    const step = { ArrowDown: 1, ArrowUp: suggestions.length - 1 }[key];
    const whole = text.value.slice(completion.start, completion.end) === suggestion.insert.trim();
    if (step !== undefined) chosen.value = (chosen.value + step) % suggestions.length;
    else if (key === "Escape") dismissed.value = true;
    else if (key === "Tab" || (key === "Enter" && !whole)) accept(suggestion);
    else return false;
    return true;
  }

  return (
    <>
      {picking.value && (
        <Picker
          room={room}
          onPick={insert}
          onClose={() => {
            picking.value = false;
            field.current?.focus();
          }}
        />
      )}
      <Suggestions suggestions={suggestions} chosen={chosen.value} onChoose={accept} />
      <form
        class="composer-row"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Field
          field={field}
          text={text}
          suggestions={suggestions.length}
          chosen={chosen.value}
          onWrite={write}
          onKey={pressed}
          onLeave={() => {
            dismissed.value = true;
          }}
        />
        <button
          type="button"
          class="icon-button"
          aria-label="Emotes"
          title="Emotes"
          aria-expanded={picking.value}
          data-testid="chat-emotes"
          onClick={() => {
            picking.value = !picking.value;
          }}
        >
          <SmileIcon />
        </button>
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
      <Foot room={room} text={text.value} length={length} />
    </>
  );
}

function sourcesOf(room: ChatRoom) {
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
  readonly text: Signal<string>;
  readonly suggestions: number;
  readonly chosen: number;
  readonly onWrite: (value: string, cursor: number) => void;
  readonly onKey: (event: KeyboardEvent) => void;
  readonly onLeave: () => void;
}

function Field(props: FieldProps) {
  const { field, suggestions } = props;
  const open = suggestions > 0;
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
      value={props.text.value}
      placeholder="Say something"
      aria-label="Message"
      aria-haspopup="listbox"
      aria-controls={open ? "chat-suggestions" : undefined}
      aria-autocomplete="list"
      aria-activedescendant={open ? `chat-suggestion-${props.chosen}` : undefined}
      dir="auto"
      enterkeyhint="send"
      data-testid="chat-input"
      onInput={(event) => props.onWrite(event.currentTarget.value, event.currentTarget.selectionStart)}
      onKeyDown={props.onKey}
      onBlur={props.onLeave}
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
