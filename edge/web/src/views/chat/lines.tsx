import type { VNode } from "preact";
import type { Pending } from "../../chat/outbox";
import type { ChatRoom } from "../../chat/room";
import type { Line } from "../../chat/timeline";
import { formatClock } from "../../lib/format";
import { hueOf } from "../../lib/hash";

/** A line never changes: the node made once is given again, and the renderer skips it. */
const nodes = new WeakMap<Line, VNode>();

export function lineNode(line: Line): VNode {
  const known = nodes.get(line);
  if (known !== undefined) return known;
  const made = line.kind === "notice" ? notice(line) : message(line);
  nodes.set(line, made);
  return made;
}

function notice(line: Extract<Line, { kind: "notice" }>): VNode {
  return (
    <li class="chat-notice" key={line.key}>
      {line.text}
    </li>
  );
}

function message(line: Extract<Line, { kind: "message" }>): VNode {
  const { username, userId, badges, timestamp, message: text } = line.message;
  return (
    <li
      class="chat-line"
      key={line.key}
      data-testid="chat-message"
      data-message-id={line.key}
      title={timestamp > 0 ? formatClock(timestamp) : undefined}
    >
      {badges.map((badge) => (
        <span class="chat-badge" key={badge}>
          {badge}
        </span>
      ))}
      <b class="chat-name" style={{ "--hue": String(hueOf(userId)) }}>
        <bdi>{username}</bdi>
      </b>{" "}
      <span class="chat-text" dir="auto">
        {text}
      </span>
    </li>
  );
}

/** One of ours that is on its way, or did not get there. */
export function PendingLine(props: { readonly pending: Pending; readonly room: ChatRoom }) {
  const { pending, room } = props;
  const name = room.user.value?.username ?? "You";
  return (
    <li class="chat-line pending" data-state={pending.state}>
      <b class="chat-name">
        <bdi>{name}</bdi>
      </b>{" "}
      <span class="chat-text" dir="auto">
        {pending.text}
      </span>
      {pending.state === "sending" && <span class="chat-fate">Sending</span>}
      {pending.state === "failed" && (
        <span class="chat-fate">
          {pending.reason}{" "}
          <button type="button" class="link" onClick={() => room.sendAgain(pending.nonce)}>
            Send again
          </button>{" "}
          <button type="button" class="link" onClick={() => room.discard(pending.nonce)}>
            Discard
          </button>
        </span>
      )}
    </li>
  );
}
