import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { ChatRoom } from "../../chat/room";
import { now } from "../../lib/clock";
import { DownIcon } from "../../ui/icons";
import { Announcer } from "./announcer";
import { Composer } from "./composer";
import { lineNode, PendingLine } from "./lines";

/** This close to the end counts as reading the newest, pixels. */
const END_PX = 48;

export function Chat(props: { readonly room: ChatRoom }) {
  const { room } = props;
  return (
    <aside class="chat" aria-label="Chat">
      <header class="chat-head">
        <h2>Chat</h2>
        <Connection room={room} />
      </header>
      <Lines room={room} />
      <Composer room={room} />
      <Announcer room={room} />
    </aside>
  );
}

function Connection(props: { readonly room: ChatRoom }) {
  const state = props.room.connection.value;
  if (state.name === "open") return null;
  if (state.name === "connecting") return <span class="chat-state">Connecting</span>;
  if (state.name === "closed") return <span class="chat-state">{state.reason}</span>;
  const seconds = Math.max(1, Math.ceil((state.retryAt - now.value) / 1000));
  return (
    <span class="chat-state">
      Not connected, again in {seconds} s
      <button type="button" class="link" onClick={() => props.room.hurry()}>
        Now
      </button>
    </span>
  );
}

function Lines(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const list = useRef<HTMLDivElement>(null);
  const lines = room.lines.value;
  const outbox = room.outbox.value;
  const unseen = room.unseen.value;
  const atEnd = useRef(true);
  const place = useRef(0);

  function pin() {
    const element = list.current;
    if (element === null || !atEnd.current) return;
    element.scrollTop = element.scrollHeight;
    place.current = element.scrollTop;
  }

  useLayoutEffect(pin);
  useEffect(() => {
    if (list.current === null) return;
    const observer = new ResizeObserver(pin);
    observer.observe(list.current);
    return () => observer.disconnect();
  }, []);

  /** Only going up leaves the end: a list that grew or shrank did not move the reader. */
  function scrolled() {
    const element = list.current;
    if (element === null) return;
    const close = element.scrollHeight - element.scrollTop - element.clientHeight < END_PX;
    const wentUp = element.scrollTop < place.current - 1;
    place.current = element.scrollTop;
    atEnd.current = close || (atEnd.current && !wentUp);
    room.follow(atEnd.current);
  }

  function toEnd() {
    atEnd.current = true;
    room.follow(true);
    pin();
  }

  const quiet = lines.length === 0 && outbox.length === 0;
  return (
    <div class="chat-body">
      <div
        class="chat-list"
        ref={list}
        onScroll={scrolled}
        role="log"
        aria-live="off"
        aria-label="Messages"
        data-testid="chat-list"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        tabIndex={0}
      >
        <ul>
          {lines.map(lineNode)}
          {outbox.map((pending) => (
            <PendingLine key={pending.nonce} pending={pending} room={room} />
          ))}
        </ul>
      </div>
      {quiet && <Quiet room={room} />}
      {unseen > 0 && (
        <button type="button" class="button chat-unseen" onClick={toEnd}>
          <DownIcon />
          <span class="number">{unseen === 1 ? "1 new message" : `${unseen} new messages`}</span>
        </button>
      )}
    </div>
  );
}

function Quiet(props: { readonly room: ChatRoom }) {
  const { name } = props.room.connection.value;
  if (name === "connecting") {
    return (
      <div class="chat-quiet skeleton" aria-hidden="true">
        <span class="bone" />
        <span class="bone wide" />
        <span class="bone" />
      </div>
    );
  }
  const words =
    name === "open" ? "No messages yet. What is written here appears at once." : "The chat is away.";
  return <p class="chat-quiet">{words}</p>;
}
