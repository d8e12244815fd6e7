import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { ChatRoom } from "../../chat/room";
import { DownIcon } from "../../ui/icons";
import { lineNode, PendingLine } from "./lines";
import type { Scroller } from "./scroller";

/** What can be done with a message in the list. */
export type Act = "parent" | "person" | "reply" | "more" | "delete";

interface ListProps {
  readonly room: ChatRoom;
  readonly scroller: Scroller;
  /** Something lies over it. */
  readonly covered: boolean;
  readonly onAct: (act: Act, messageId: string, row: HTMLElement) => void;
}

const KEYS: Readonly<Record<string, Act>> = {
  Enter: "more",
  ContextMenu: "more",
  r: "reply",
  Delete: "delete",
};

/** The messages: a window of them is in the page. */
export function MessageList(props: ListProps) {
  const { room, scroller, onAct } = props;
  const list = useRef<HTMLDivElement>(null);
  const lines = room.list.lines.value;
  const outbox = room.outbox.value;
  const unseen = room.list.unseen.value;
  const shown = scroller.windowOf(lines);
  const username = room.user.value?.username ?? "";
  const written = room.token.value !== null;

  useLayoutEffect(() => scroller.settle());
  useEffect(() => (list.current === null ? undefined : scroller.attach(list.current)), [scroller]);

  function pressed(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps(scroller, event.key)) {
      event.preventDefault();
      return;
    }
    const row = scroller.rowOf(event.target);
    const act = row === event.target ? KEYS[event.key] : undefined;
    const id = row?.dataset.messageId;
    if (row === null || act === undefined || id === undefined) return;
    event.preventDefault();
    onAct(act, id, row);
  }

  function clicked(event: MouseEvent) {
    const target = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-act]") : null;
    const row = scroller.rowOf(target);
    const id = row?.dataset.messageId;
    if (row !== null && id !== undefined) onAct(target?.dataset.act as Act, id, row);
  }

  return (
    <div class="chat-body" inert={props.covered}>
      <div
        class="chat-list"
        ref={list}
        onScroll={() => scroller.scrolled()}
        onKeyDown={pressed}
        onClick={clicked}
        onFocusIn={(event) => {
          if (scroller.rowOf(event.target)?.matches(":focus-visible")) scroller.pause("focus");
        }}
        onFocusOut={() => scroller.left()}
        role="log"
        aria-live="off"
        aria-label="Messages"
        data-testid="chat-list"
        data-write={written}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        tabIndex={0}
      >
        <Beginning room={room} />
        <div style={{ blockSize: `${shown.above}px` }} />
        <ul>{lines.slice(shown.first, shown.end).map((line) => lineNode(line, username))}</ul>
        <div style={{ blockSize: `${shown.below}px` }} />
        {outbox.length > 0 && (
          <ul>
            {outbox.map((pending) => (
              <PendingLine key={pending.nonce} pending={pending} room={room} />
            ))}
          </ul>
        )}
      </div>
      {lines.length === 0 && outbox.length === 0 && <Quiet room={room} />}
      {unseen > 0 && !scroller.view.value.atEnd && (
        <button
          type="button"
          class="button chat-unseen"
          data-testid="chat-unseen"
          onClick={() => scroller.toEnd()}
        >
          <DownIcon />
          <span class="number">{unseen === 1 ? "1 new message" : `${unseen} new messages`}</span>
        </button>
      )}
    </div>
  );
}

/** Keys that move between the lines; whether this was one. */
function steps(scroller: Scroller, key: string): boolean {
  if (key === "ArrowUp") scroller.step(-1);
  else if (key === "ArrowDown") scroller.step(1);
  else if (key === "Home") scroller.toFirst();
  else if (key === "End") scroller.toLast();
  else return false;
  return true;
}

const BEGINNINGS = {
  idle: "",
  loading: "Fetching older messages",
  ready: "Nothing older is kept.",
  failed: "Older messages could not be fetched.",
} as const;

/** Above the oldest line: how fetching older ones stands. */
function Beginning(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const state = room.list.older.value;
  if (room.list.lines.value.length === 0 || state === "idle") return null;
  return (
    <p class="chat-notice quiet">
      {BEGINNINGS[state]}{" "}
      {state === "failed" && (
        <button type="button" class="link" onClick={() => void room.list.loadOlder()}>
          Try again
        </button>
      )}
    </p>
  );
}

function Quiet(props: { readonly room: ChatRoom }) {
  const state = props.room.connection.value;
  if (state.name === "connecting") {
    return (
      <div class="chat-quiet skeleton" aria-hidden="true">
        {["", "wide", "", "wide", ""].map((size, index) => (
          <span key={index} class={`bone ${size}`} />
        ))}
      </div>
    );
  }
  return <p class="chat-quiet">{quietWords(state)}</p>;
}

function quietWords(state: ChatRoom["connection"]["value"]): string {
  if (state.name === "open") return "No messages yet. What is written here appears at once.";
  if (state.name === "closed") return state.reason || "The chat is closed.";
  return "The chat is away. This page comes back to it by itself.";
}
