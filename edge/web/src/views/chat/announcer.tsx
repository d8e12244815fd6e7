import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Line } from "../../chat/lines";
import { mentions } from "../../chat/parts";
import type { ChatRoom } from "../../chat/room";

const PERIOD_MS = 6000;

/** Tells screen readers about new lines, in one sentence and seldom, whatever the chat's speed. */
export function Announcer(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const said = useSignal("");
  const last = useRef<string | undefined>(undefined);
  useEffect(() => {
    const timer = setInterval(() => {
      const lines = room.list.lines.peek();
      const known = lines.findIndex((line) => line.key === last.current);
      const fresh = lines.slice(known + 1);
      const first = last.current === undefined;
      last.current = lines.at(-1)?.key;
      if (!first && fresh.length > 0) said.value = sentence(fresh, room.user.peek()?.username ?? "");
    }, PERIOD_MS);
    return () => clearInterval(timer);
  }, [room, said]);
  return (
    <p class="visually-hidden" aria-live="polite">
      {said.value}
    </p>
  );
}

/** What names the reader is read out; of the rest one line is, or their number. */
export function sentence(fresh: readonly Line[], username: string): string {
  const own = fresh.filter((line) => line.kind === "message" && mentions(line.message, username)).at(-1);
  const [only] = fresh.length === 1 ? fresh : [own];
  const read = only === undefined ? "" : wordsOf(only);
  if (fresh.length === 1) return read;
  return read === "" ? `${fresh.length} new chat messages` : `${fresh.length} new chat messages. ${read}`;
}

function wordsOf(line: Line): string {
  if (line.kind === "message") return `${line.message.username}: ${line.message.message}`;
  return line.kind === "announcement" ? `Announcement: ${line.text}` : line.text;
}
