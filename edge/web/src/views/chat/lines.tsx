import type { VNode } from "preact";
import type { Line } from "../../chat/lines";
import type { Pending } from "../../chat/outbox";
import { isAction, mentions, partsOf } from "../../chat/parts";
import type { ChatRoom } from "../../chat/room";
import { formatMoment } from "../../lib/format";
import { ReplyIcon } from "./icons";
import { Badges, Name, Parts } from "./pieces";

/** A line never changes: the node made once is given again, and the renderer skips it. */
let nodes = new WeakMap<Line, VNode>();
let reader = "";

/** The node of a line as `username` sees it; empty for guests. What is pressed in it tells its `data-act`. */
export function lineNode(line: Line, username: string): VNode {
  if (username !== reader) {
    reader = username;
    nodes = new WeakMap();
  }
  const known = nodes.get(line);
  if (known !== undefined) return known;
  const made = make(line, username);
  nodes.set(line, made);
  return made;
}

function make(line: Line, username: string): VNode {
  switch (line.kind) {
    case "message":
      return message(line, username);
    case "announcement":
      return (
        <li class="chat-announcement" key={line.key} data-key={line.key} tabIndex={-1}>
          <span class="chat-announcer">
            Announcement of <bdi>{line.username}</bdi>
          </span>
          <span dir="auto">{line.text}</span>
        </li>
      );
    default:
      return (
        <li
          class={line.kind === "notice" ? `chat-notice ${line.tone}` : "chat-notice quiet"}
          key={line.key}
          data-key={line.key}
          data-testid={`chat-${line.kind}`}
          tabIndex={-1}
        >
          {line.text}
        </li>
      );
  }
}

function message(line: Extract<Line, { kind: "message" }>, username: string): VNode {
  const { message: said } = line;
  const action = isAction(said);
  return (
    <li
      class={action ? "chat-line action" : "chat-line"}
      key={line.key}
      data-key={line.key}
      data-testid="chat-message"
      data-message-id={line.key}
      data-mentions={mentions(said, username) ? "true" : undefined}
      title={said.timestamp > 0 ? formatMoment(said.timestamp) : undefined}
      tabIndex={-1}
    >
      {said.parent !== null && (
        <button type="button" class="chat-parent" data-act="parent" tabIndex={-1}>
          <span class="visually-hidden">In reply to </span>
          <ReplyIcon />
          <b>
            <bdi>{said.parent.username}</bdi>
          </b>{" "}
          <span dir="auto">{said.parent.text}</span>
        </button>
      )}
      <Badges badges={said.badges} />
      <button type="button" class="chat-author" data-act="person" tabIndex={-1}>
        <Name userId={said.userId} username={said.username} />
      </button>{" "}
      <span class="chat-text" dir="auto">
        <Parts parts={partsOf(said)} own={username.toLowerCase()} />
      </span>
      <span class="chat-tools">
        <button
          type="button"
          data-act="reply"
          tabIndex={-1}
          aria-label={`Reply to ${said.username}`}
          title="Reply (r)"
        />
        <button
          type="button"
          data-act="more"
          data-testid="chat-more"
          tabIndex={-1}
          aria-label={`What can be done with this message of ${said.username}`}
          title="More (Enter)"
        />
      </span>
    </li>
  );
}

const FATES: Readonly<Record<Pending["state"], string>> = {
  sending: "Sending",
  sent: "",
  held: "A moderator looks at it before the others see it.",
  failed: "",
};

/** One of ours that is on its way, or did not get there. */
export function PendingLine(props: { readonly pending: Pending; readonly room: ChatRoom }) {
  const { pending, room } = props;
  const user = room.user.value;
  const fate = pending.reason || FATES[pending.state];
  return (
    <li class="chat-line pending" data-state={pending.state} data-testid="chat-pending">
      <Badges badges={user?.badges ?? []} />
      <span class="chat-author">
        <Name userId={user?.userId ?? ""} username={user?.username ?? "You"} />
      </span>{" "}
      <span class="chat-text" dir="auto">
        {pending.text}
      </span>
      {fate !== "" && (
        <span class="chat-fate">
          {fate}{" "}
          {pending.state === "failed" && (
            <button type="button" class="link" onClick={() => room.sendAgain(pending.nonce)}>
              Send again
            </button>
          )}{" "}
          {pending.state !== "sending" && (
            <button type="button" class="link" onClick={() => room.discard(pending.nonce)}>
              {pending.state === "failed" ? "Discard" : "Hide"}
            </button>
          )}
        </span>
      )}
    </li>
  );
}
