import { isFields, numberOf, textOf } from "../api/types";
import { type ChatMessage, readMessage } from "./messages";
import { type Modes, readModes } from "./modes";

/** Something that happened in a room besides messages. Fields that its kind does not have are empty. */
export interface ChatEvent {
  readonly type: "event";
  readonly event: string;
  readonly eventId: string;
  /** Unix milliseconds; 0 when the server did not say. */
  readonly timestamp: number;
  readonly messageIds: readonly string[];
  readonly userId: string;
  readonly username: string;
  readonly text: string;
  /** End of a timeout, Unix milliseconds. */
  readonly until: number;
  readonly modes: Modes | null;
  /** Pinned, held or approved. */
  readonly message: ChatMessage | null;
  readonly role: string;
  /** Channels of a raid: where it goes, or where it comes from. */
  readonly target: string;
  readonly origin: string;
  readonly viewers: number;
  readonly tier: number;
  readonly months: number;
  readonly count: number;
  /** Who gave a subscription as a present. */
  readonly giver: string;
  readonly reason: string;
  /** Of a broadcast: starting, live, interrupted, ended. */
  readonly state: string;
}

type Fields = Readonly<Record<string, unknown>>;

export function readEvent(fields: Fields): ChatEvent {
  const one = textOf(fields.message_id);
  const many = Array.isArray(fields.message_ids) ? fields.message_ids : [];
  return {
    type: "event",
    event: textOf(fields.event),
    eventId: textOf(fields.event_id),
    timestamp: numberOf(fields.timestamp) ?? 0,
    messageIds: [one, ...many].filter((id): id is string => typeof id === "string" && id !== ""),
    userId: textOf(fields.user_id) || textOf(fields.target_id),
    username: textOf(fields.username) || textOf(fields.target),
    text: textOf(fields.text),
    until: numberOf(fields.until) ?? 0,
    modes: isFields(fields.modes) ? readModes(fields.modes) : null,
    message: readMessage(fields.message),
    role: textOf(fields.role),
    target: textOf(fields.target),
    origin: textOf(fields.from),
    viewers: numberOf(fields.viewers) ?? 0,
    tier: numberOf(fields.tier) ?? 0,
    months: numberOf(fields.months) ?? 0,
    count: numberOf(fields.count) ?? 0,
    giver: textOf(fields.giver),
    reason: textOf(fields.reason),
    state: textOf(fields.state),
  };
}

const TIERS = ["", "", " at tier 2", " at tier 3"];

/** What the room reads about an event, empty when that needs no line. */
export function eventSentence(event: ChatEvent): string {
  const { username: who } = event;
  switch (event.event) {
    case "follow":
      return `${who} follows the channel.`;
    case "subscription":
      return `${who} subscribed${TIERS[event.tier] ?? ""}${monthsOf(event.months)}.`;
    case "gift":
      return `${event.giver} gave ${who} a subscription${TIERS[event.tier] ?? ""}.`;
    case "raid":
      return event.origin === "" ? "" : `${event.origin} came over with ${viewersOf(event.viewers)}.`;
    case "clear":
      return "A moderator cleared the chat.";
    case "stream":
      return STREAM[event.state] ?? "";
    default:
      return "";
  }
}

const STREAM: Readonly<Record<string, string>> = {
  live: "The broadcast is on.",
  interrupted: "The broadcast is interrupted.",
  ended: "The broadcast has ended.",
};

function monthsOf(months: number): string {
  return months > 1 ? `, for ${months} months now` : "";
}

export function viewersOf(count: number): string {
  return `${count} ${count === 1 ? "viewer" : "viewers"}`;
}
