import { useEffect } from "preact/hooks";
import { viewersOf } from "../../chat/events";
import type { ChatRoom } from "../../chat/room";
import { now } from "../../lib/clock";
import { goTo } from "../../lib/router";

/** A raid goes to another channel: this page goes along, unless its viewer stays. */
export function RaidBar(props: { readonly room: ChatRoom }) {
  const { room } = props;
  const raid = room.raid.value;
  const goAt = raid?.goAt ?? null;
  const left = goAt === null ? null : Math.max(0, Math.ceil((goAt - now.value) / 1000));
  const target = raid?.target ?? "";

  useEffect(() => {
    if (left === 0) go(room, target);
  }, [room, left, target]);

  if (raid === null) return null;
  return (
    <section class="chat-raid" aria-label="Raid" data-testid="chat-raid">
      <p role="status">
        Raid to <bdi>{target}</bdi> with {viewersOf(raid.viewers)}.
      </p>
      {left !== null && (
        <p class="number">
          This page goes there in <b>{left} s</b>.
        </p>
      )}
      <div class="chat-raid-tools">
        <button type="button" class="button" onClick={() => go(room, target)}>
          Go there now
        </button>
        <button
          type="button"
          class="button quiet"
          onClick={() => {
            room.raid.value = null;
          }}
        >
          {left === null ? "Close" : "Stay here"}
        </button>
      </div>
    </section>
  );
}

/** The same kind of page of another channel: the last name but "chat" in the path is the channel's. */
function go(room: ChatRoom, target: string): void {
  room.raid.value = null;
  const { pathname, search } = window.location;
  const names = pathname.split("/");
  const place = names.map((name) => name.toLowerCase()).lastIndexOf(room.channel);
  if (place < 0) return;
  names[place] = target;
  goTo(names.join("/") + (names[1] === "embed" ? search : ""));
}
