import { isFields, numberOf, textOf } from "../api/types";

/** The chat's JSON text frames, read without trust. */

export interface ChatMessage {
  readonly messageId: string;
  /** Unix milliseconds. */
  readonly timestamp: number;
  readonly userId: string;
  readonly username: string;
  readonly message: string;
  readonly badges: readonly string[];
}

export interface ChatUser {
  readonly userId: string;
  readonly username: string;
}

export type ServerFrame =
  | { readonly type: "hello"; readonly position: string; readonly user: ChatUser | null }
  | { readonly type: "messages"; readonly position: string; readonly messages: readonly ChatMessage[] }
  | { readonly type: "ack"; readonly nonce: string; readonly messageId: string; readonly timestamp: number }
  | {
      readonly type: "error";
      readonly nonce: string;
      readonly code: string;
      readonly detail: string;
      readonly retryAfterS: number;
    }
  | { readonly type: "gap" }
  | {
      readonly type: "event";
      readonly event: string;
      readonly messageIds: readonly string[];
      readonly userId: string;
    };

/** A frame, or null for anything we do not know: newer servers may say more. */
export function readFrame(data: unknown): ServerFrame | null {
  const fields = parse(data);
  if (fields === null) return null;
  switch (fields.type) {
    case "hello":
      return { type: "hello", position: positionOf(fields.position), user: readUser(fields.user) };
    case "messages":
      return {
        type: "messages",
        position: positionOf(fields.position),
        messages: readMessages(fields.messages),
      };
    case "ack":
      return {
        type: "ack",
        nonce: textOf(fields.nonce),
        messageId: textOf(fields.message_id),
        timestamp: numberOf(fields.timestamp) ?? 0,
      };
    case "error":
      return {
        type: "error",
        nonce: textOf(fields.nonce),
        code: textOf(fields.code),
        detail: textOf(fields.detail),
        retryAfterS: numberOf(fields.retry_after) ?? 0,
      };
    case "gap":
      return { type: "gap" };
    case "event":
      return readEvent(fields);
    default:
      return null;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(data: unknown): Fields | null {
  if (typeof data !== "string") return null;
  try {
    const value: unknown = JSON.parse(data);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function positionOf(value: unknown): string {
  return typeof value === "number" ? String(value) : textOf(value);
}

/** The user of a hello frame: an object, a plain id, or nothing for anonymous readers. */
function readUser(value: unknown): ChatUser | null {
  if (typeof value === "string" && value !== "") return { userId: value, username: value };
  if (!isFields(value)) return null;
  const userId = textOf(value.user_id);
  return userId === "" ? null : { userId, username: textOf(value.username) || userId };
}

function readMessages(value: unknown): readonly ChatMessage[] {
  if (!Array.isArray(value)) return [];
  return value.map(readMessage).filter((message) => message !== null);
}

function readMessage(value: unknown): ChatMessage | null {
  if (!isFields(value) || textOf(value.message_id) === "") return null;
  const userId = textOf(value.user_id);
  return {
    messageId: textOf(value.message_id),
    timestamp: numberOf(value.timestamp) ?? 0,
    userId,
    username: textOf(value.username) || userId,
    message: textOf(value.message),
    badges: Array.isArray(value.badges) ? value.badges.filter((badge) => typeof badge === "string") : [],
  };
}

function readEvent(fields: Fields): ServerFrame {
  const one = textOf(fields.message_id);
  const many = Array.isArray(fields.message_ids) ? fields.message_ids : [];
  const messageIds = [one, ...many].filter((id): id is string => typeof id === "string" && id !== "");
  return { type: "event", event: textOf(fields.event), messageIds, userId: textOf(fields.user_id) };
}
