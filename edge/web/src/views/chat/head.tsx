import type { ChatRoom } from "../../chat/room";
import { countdown } from "../../chat/times";
import { now } from "../../lib/clock";
import { IconButton } from "../../ui/icon_button";
import { ChatIcon, FoldIcon, PeopleIcon, ShieldIcon } from "./icons";
import type { PanelState, Sheet } from "./panel_state";

interface HeadProps {
  readonly panel: PanelState;
  readonly alone: boolean;
  readonly folded: boolean;
}

export function Head(props: HeadProps) {
  const { panel, alone, folded } = props;
  if (folded) return <Folded panel={panel} />;
  const { desk } = panel.room;
  const held = desk.held.value.length;
  const waits = held === 0 ? "" : `, ${held} ${held === 1 ? "message waits" : "messages wait"}`;
  const toggle = (sheet: Sheet) => {
    panel.sheet.value = panel.sheet.peek() === sheet ? null : sheet;
  };
  return (
    <header class="chat-head">
      <h2>Chat</h2>
      <Connection room={panel.room} />
      <div class="chat-head-tools">
        {desk.moderates.value && (
          <IconButton
            label={`Moderation${waits}`}
            expanded={panel.sheet.value === "moderation"}
            testid="chat-moderation"
            onClick={() => toggle("moderation")}
          >
            <ShieldIcon />
            {held > 0 && <span class="chat-count number">{held}</span>}
          </IconButton>
        )}
        <IconButton
          label="People here"
          expanded={panel.sheet.value === "people"}
          testid="chat-people"
          onClick={() => toggle("people")}
        >
          <PeopleIcon />
        </IconButton>
        {!alone && (
          <IconButton
            label="Hide the chat"
            shortcut="h"
            testid="chat-fold"
            class="mirrored"
            onClick={() => panel.fold(true)}
          >
            <FoldIcon />
          </IconButton>
        )}
      </div>
    </header>
  );
}

function Folded(props: { readonly panel: PanelState }) {
  return (
    <header class="chat-head">
      <IconButton
        label="Show the chat"
        shortcut="h"
        expanded={false}
        testid="chat-unfold"
        onClick={() => props.panel.fold(false)}
      >
        <ChatIcon />
      </IconButton>
    </header>
  );
}

/** The one place that tells how the connection stands. */
function Connection(props: { readonly room: ChatRoom }) {
  const state = props.room.connection.value;
  if (state.name === "open") return null;
  if (state.name === "connecting") return <p class="chat-state">Connecting</p>;
  if (state.name === "closed") {
    return (
      <p class="chat-state" role="status">
        {state.reason}{" "}
        <button type="button" class="link" onClick={() => props.room.hurry()}>
          Try again
        </button>
      </p>
    );
  }
  const reason = state.reason || "Not connected";
  return (
    <p class="chat-state" data-testid="chat-away">
      {reason}, again in{" "}
      <span class="number">{countdown(Math.max(1, (state.retryAt - now.value) / 1000))}</span>{" "}
      <button type="button" class="link" onClick={() => props.room.hurry()}>
        Now
      </button>
    </p>
  );
}
