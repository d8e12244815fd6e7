import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Doing, mayActOn, onPerson, type Person, roles, timeout } from "../../chat/actions";
import { partsOf } from "../../chat/parts";
import { readTime } from "../../chat/times";
import { formatClock } from "../../lib/format";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon } from "../../ui/icons";
import type { PanelState } from "./panel_state";
import { Badges, Name, Parts } from "./pieces";

const SHOWN = 12;
const LONGEST_S = 14 * 86_400;
const RANKS = {
  viewer: "Viewer",
  vip: "VIP",
  moderator: "Moderator",
  owner: "Owner of the channel",
} as const;
const RESTRICTIONS: Readonly<Record<string, string>> = {
  ban: "Banned from this chat",
  timeout: "Timed out",
  mute: "Can read here, not write",
};

/** Somebody of the chat: who they are here, what they wrote, and what can be done. */
export function PersonCard(props: { readonly panel: PanelState; readonly person: Person }) {
  const { panel } = props;
  const { room } = panel;
  const dialog = useRef<HTMLDialogElement>(null);
  const person = panel.known(props.person);
  room.list.lines.value; // the messages below are those that are here now
  const messages = room.list.messagesOf(person.userId).slice(-SHOWN);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog chat-card"
      aria-label={`About ${person.username}`}
      data-testid="chat-card"
      onClose={() => {
        panel.card.value = null;
      }}
    >
      <div class="sheet-head">
        <h2>
          <Badges badges={messages.at(-1)?.badges ?? []} />{" "}
          <Name userId={person.userId} username={person.username} />
        </h2>
        <IconButton label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </IconButton>
      </div>
      <p class="chat-card-facts">
        {[RANKS[person.rank], RESTRICTIONS[person.restriction]]
          .filter((word) => word !== undefined)
          .join(" · ")}
      </p>
      <Actions panel={panel} person={person} />
      <h3>Written here lately</h3>
      {messages.length === 0 ? (
        <p class="chat-card-facts">Nothing that is still on this page.</p>
      ) : (
        <ul class="chat-card-list">
          {messages.map((message) => (
            <li key={message.messageId}>
              <span class="number">{formatClock(message.timestamp)}</span>{" "}
              <span dir="auto">
                <Parts parts={partsOf(message)} own="" />
              </span>
            </li>
          ))}
        </ul>
      )}
    </dialog>
  );
}

function Actions(props: { readonly panel: PanelState; readonly person: Person }) {
  const { panel, person } = props;
  const { self } = panel;
  const { desk } = panel.room;
  const told = useSignal("");
  const all = [...onPerson(self, person), ...roles(self, person)];
  if (all.length === 0) return null;

  async function does(doing: Doing) {
    const done = await desk.act(doing.action, doing.done, doing.undo);
    told.value = desk.toast.value?.text ?? "";
    if (done) await desk.refresh();
  }
  return (
    <>
      <div class="chat-card-actions">
        {all.map((doing) => (
          <button
            key={doing.label}
            type="button"
            class="button quiet"
            data-grave={doing.grave}
            onClick={() => void does(doing)}
          >
            {doing.label}
          </button>
        ))}
      </div>
      {mayActOn(self, person) && (
        <CustomTimeout username={person.username} does={(doing) => void does(doing)} />
      )}
      <p class="chat-card-facts" role="status">
        {told.value}
      </p>
    </>
  );
}

function CustomTimeout(props: { readonly username: string; readonly does: (doing: Doing) => void }) {
  const text = useSignal("");
  const seconds = readTime(text.value);
  const fits = seconds !== null && seconds <= LONGEST_S;
  return (
    <form
      class="chat-card-custom"
      onSubmit={(event) => {
        event.preventDefault();
        if (seconds !== null && fits) props.does(timeout(props.username, seconds));
      }}
    >
      <label for="custom-timeout">Another timeout</label>
      <input
        id="custom-timeout"
        placeholder="45s, 20m, 2h, 3d"
        autocomplete="off"
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="button quiet" disabled={!fits}>
        Time out
      </button>
      {seconds !== null && !fits && <small>14 days at most.</small>}
    </form>
  );
}
