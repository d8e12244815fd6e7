import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ranked } from "../../chat/completion";
import { EMOJI } from "../../chat/emotes";
import type { ChatRoom } from "../../chat/room";
import { EmotePicture } from "./pieces";

interface PickerProps {
  readonly room: ChatRoom;
  /** What is to be put into the text. */
  readonly onPick: (text: string) => void;
  readonly onClose: () => void;
}

/** Emotes and emoji to choose from: searched by name, walked through with the arrow keys. */
export function Picker(props: PickerProps) {
  const { room, onPick } = props;
  const asked = useSignal("");
  const picker = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => search.current?.focus(), []);
  const { channel, global } = room.desk.emotes.value;
  const emoji = EMOJI.filter(([name]) => name.includes(asked.value.trim().toLowerCase()));
  const own = ranked(channel, asked.value.trim());
  const everybodys = ranked(global, asked.value.trim()).filter((name) => !own.includes(name));
  const none = own.length + everybodys.length + emoji.length === 0;

  function pressed(event: KeyboardEvent) {
    if (event.key === "Escape") props.onClose();
    else if (!walk(picker.current, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div
      ref={picker}
      class="picker"
      role="dialog"
      aria-label="Emotes"
      data-testid="chat-picker"
      onKeyDown={pressed}
    >
      <input
        ref={search}
        type="search"
        aria-label="Search emotes"
        placeholder="Search"
        autocomplete="off"
        value={asked.value}
        onInput={(event) => {
          asked.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          event.stopPropagation();
          picker.current?.querySelector<HTMLButtonElement>(".picker-grid button")?.click();
        }}
      />
      <div class="picker-scroll">
        <Section title="This channel" names={own} onPick={onPick} />
        <Section title="Everywhere" names={everybodys} onPick={onPick} />
        {emoji.length > 0 && (
          <>
            <h3>Emoji</h3>
            <div class="picker-grid">
              {emoji.map(([name, glyph]) => (
                <button key={name} type="button" aria-label={name} title={name} onClick={() => onPick(glyph)}>
                  <span class="emote">{glyph}</span>
                </button>
              ))}
            </div>
          </>
        )}
        {none && <p class="chat-sheet-note">Nothing is called that.</p>}
        {room.desk.emotesFetched.value === "failed" && (
          <p class="chat-sheet-note" role="status">
            The channel's emotes could not be fetched.
          </p>
        )}
      </div>
    </div>
  );
}

interface SectionProps {
  readonly title: string;
  readonly names: readonly string[];
  readonly onPick: (text: string) => void;
}

function Section(props: SectionProps) {
  if (props.names.length === 0) return null;
  return (
    <>
      <h3>{props.title}</h3>
      <div class="picker-grid">
        {props.names.map((name) => (
          <button key={name} type="button" onClick={() => props.onPick(name)}>
            <EmotePicture name={name} />
          </button>
        ))}
      </div>
    </>
  );
}

/** Moves the focus over the grid; whether the key does that. */
function walk(picker: HTMLElement | null, key: string): boolean {
  const buttons = [...(picker?.querySelectorAll<HTMLElement>(".picker-grid button") ?? [])];
  const at = buttons.findIndex((button) => button.matches(":focus"));
  const row = Math.max(1, buttons.filter((button) => button.offsetTop === buttons[0]?.offsetTop).length);
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: at < 0 ? 1 : row, ArrowUp: -row }[key];
  if (by === undefined || (at < 0 && key !== "ArrowDown")) return false;
  const to = buttons[at + by];
  if (to !== undefined) to.focus();
  else if (by < 0) picker?.querySelector("input")?.focus();
  return true;
}
