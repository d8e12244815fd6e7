import { useSignal } from "@preact/signals";
import type { Desk } from "../../chat/desk";
import { errorSentence } from "../../chat/errors";
import type { ChatEvent } from "../../chat/events";
import { partsOf } from "../../chat/parts";
import { formatClock } from "../../lib/format";
import { ModesForm } from "./modes_form";
import type { PanelState } from "./panel_state";
import { Name, Parts } from "./pieces";
import { PanelSheet } from "./sheet";

/** What moderators have beside the messages: the queue of doubtful ones, the modes, the broom. */
export function ModerationSheet(props: { readonly panel: PanelState }) {
  const { panel } = props;
  const { desk } = panel.room;
  return (
    <PanelSheet panel={panel} title="Moderation" testid="chat-moderation-sheet">
      <Held desk={desk} />
      <h4>Modes</h4>
      <ModesForm desk={desk} />
      <h4>All messages</h4>
      <Clear desk={desk} />
    </PanelSheet>
  );
}

function Held(props: { readonly desk: Desk }) {
  const { desk } = props;
  const held = desk.held.value;
  return (
    <div data-testid="chat-held">
      <h4>
        Waiting for review <span class="number">{held.length}</span>
      </h4>
      {desk.heldFetched.value === "failed" && (
        <p class="chat-sheet-note" role="status">
          The queue could not be fetched.{" "}
          <button type="button" class="link" onClick={() => void desk.loadHeld()}>
            Try again
          </button>
        </p>
      )}
      {held.length === 0 && desk.heldFetched.value !== "failed" && (
        <p class="chat-sheet-note">
          {desk.modes.value.hold
            ? "Nothing waits. Doubtful messages appear here."
            : "Nothing waits: doubtful messages are refused. To review them, switch that on below."}
        </p>
      )}
      <ul class="chat-held">
        {held.map((event) => (
          <Waiting key={event.messageIds[0]} desk={desk} event={event} />
        ))}
      </ul>
    </div>
  );
}

function Waiting(props: { readonly desk: Desk; readonly event: ChatEvent }) {
  const { desk, event } = props;
  const { message } = event;
  return (
    <li>
      <p>
        <Name userId={event.userId} username={event.username} />{" "}
        <span dir="auto">{message !== null && <Parts parts={partsOf(message)} own="" />}</span>
      </p>
      <p class="chat-sheet-note">
        {formatClock(event.timestamp)} · {errorSentence(event.reason, "")}
      </p>
      <div class="chat-held-tools">
        <button type="button" class="button" onClick={() => void desk.decide(event, true)}>
          Approve
        </button>
        <button type="button" class="button quiet" onClick={() => void desk.decide(event, false)}>
          Deny
        </button>
      </div>
    </li>
  );
}

function Clear(props: { readonly desk: Desk }) {
  const asked = useSignal(false);
  if (!asked.value) {
    return (
      <div class="chat-clear">
        <button
          type="button"
          class="button quiet"
          data-grave="true"
          onClick={() => {
            asked.value = true;
          }}
        >
          Clear the chat
        </button>
      </div>
    );
  }
  return (
    <div class="chat-clear" role="status">
      <p>All messages disappear for everybody. This cannot be undone.</p>
      <button
        type="button"
        class="button"
        onClick={() => {
          asked.value = false;
          void props.desk.act({ action: "clear" }, "Cleared.");
        }}
      >
        Clear it
      </button>
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          asked.value = false;
        }}
      >
        Keep them
      </button>
    </div>
  );
}
