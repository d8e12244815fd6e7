import { useEffect, useMemo } from "preact/hooks";
import type { ChatRoom } from "../../chat/room";
import { focusOf } from "../../player/shortcuts";
import { Announcer } from "./announcer";
import { PersonCard } from "./card";
import { Composer } from "./composer";
import { Head } from "./head";
import { type Act, MessageList } from "./list";
import { MessageMenu } from "./menu";
import { ModerationLater } from "./moderation_later";
import { PanelState } from "./panel_state";
import { PeopleSheet } from "./people";
import { Pin } from "./pin";
import { RaidBar } from "./raid";
import { Toast } from "./toast";

interface ChatProps {
  readonly room: ChatRoom;
  /** Alone in a frame: it cannot be folded away. */
  readonly alone?: boolean;
}

/** The chat of a channel. */
export function Chat(props: ChatProps) {
  const { room, alone = false } = props;
  const panel = useMemo(() => new PanelState(room), [room]);
  const folded = panel.folded.value && !alone;
  useFoldKey(panel, alone);
  return (
    <aside class="chat" aria-label="Chat" data-folded={folded} data-testid="chat">
      <Head panel={panel} alone={alone} folded={folded} />
      {!folded && <Inside panel={panel} />}
      <Announcer room={room} />
    </aside>
  );
}

function Inside(props: { readonly panel: PanelState }) {
  const { panel } = props;
  const { room } = panel;
  const sheet = panel.sheet.value;
  const menu = panel.menu.value;
  const card = panel.card.value;
  return (
    <>
      <div class="chat-bars">
        <RaidBar room={room} />
        <Pin room={room} />
      </div>
      <div class="chat-main">
        <MessageList
          room={room}
          scroller={panel.scroller}
          covered={sheet !== null}
          onAct={(act, id, row) => obey(panel, act, id, row)}
        />
        {sheet === "people" && <PeopleSheet panel={panel} />}
        {sheet === "moderation" && <ModerationLater panel={panel} />}
        {menu !== null && <MessageMenu key={menu.message.messageId} panel={panel} {...menu} />}
        <Toast room={room} />
      </div>
      <Composer room={room} />
      {card !== null && <PersonCard panel={panel} person={card} />}
    </>
  );
}

function obey(panel: PanelState, act: Act, id: string, row: HTMLElement): void {
  const { room } = panel;
  const line = room.list.lines.peek().find((one) => one.key === id);
  if (line?.kind !== "message") return;
  const { message } = line;
  if (act === "parent") {
    if (!panel.scroller.toLine(message.replyTo)) room.desk.say("That message is no longer here.", false);
  } else if (act === "person") panel.openCard(panel.personOf(message));
  else if (act === "more") panel.openMenu(message, placeOf(row));
  else if (act === "reply" && room.user.peek() !== null) panel.reply(message);
  else if (act === "delete" && room.desk.moderates.peek()) {
    void room.desk.act({ action: "delete", message_id: id }, "Deleted.");
  }
}

/** Where a row is in the part of the panel that menus lie over, pixels. */
function placeOf(row: HTMLElement): number {
  const main = row.closest(".chat-main");
  return row.getBoundingClientRect().bottom - (main?.getBoundingClientRect().top ?? 0);
}

/** h folds the chat away and brings it back. */
function useFoldKey(panel: PanelState, alone: boolean): void {
  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      const typing = ["input", "textarea", "select"].includes(focusOf(document.activeElement));
      if (event.defaultPrevented || typing || alone || event.key !== "h") return;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      panel.fold(!panel.folded.peek());
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [panel, alone]);
}
