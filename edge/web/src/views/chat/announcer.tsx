import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ChatRoom } from "../../chat/room";

const PERIOD_MS = 8000;

/** Tells screen readers about new messages, in one sentence and seldom, whatever the chat's speed. */
export function Announcer(props: { readonly room: ChatRoom }) {
  const said = useSignal("");
  const last = useRef<string | undefined>(undefined);
  useEffect(() => {
    const timer = setInterval(() => {
      const lines = props.room.lines.peek();
      const known = lines.findIndex((line) => line.key === last.current);
      const fresh = lines.slice(known + 1);
      const newest = lines.at(-1);
      const first = last.current === undefined;
      last.current = newest?.key;
      if (first || fresh.length === 0) return;
      said.value = sentence(fresh.length, newest);
    }, PERIOD_MS);
    return () => clearInterval(timer);
  }, [props.room, said]);
  return (
    <p class="visually-hidden" aria-live="polite">
      {said.value}
    </p>
  );
}

type Newest = ReturnType<ChatRoom["lines"]["peek"]>[number] | undefined;

function sentence(count: number, newest: Newest): string {
  if (count > 1) return `${count} new chat messages`;
  return newest?.kind === "message" ? `${newest.message.username}: ${newest.message.message}` : "";
}
