import { isFields, numberOf, textOf } from "../api/types";
import { type ChatEvent, readEvent } from "./events";
import { type ChatMessage, readMessages, textsOf } from "./messages";
import { type Modes, readModes } from "./modes";

/** The chat's JSON text frames, read without trust. */

export interface ChatUser {
  readonly userId: string;
  readonly username: string;
  readonly badges: readonly string[];
  readonly moderator: boolean;
}

export interface Ack {
  readonly type: "ack";
  readonly nonce: string;
  readonly messageId: string;
  readonly timestamp: number;
  /** A moderator looks at it first. */
  readonly held: boolean;
  /** The answer of a command. */
  readonly notice: string;
}

export interface Refusal {
  readonly type: "error";
  readonly nonce: string;
  readonly code: string;
  readonly detail: string;
  readonly retryAfterS: number;
}

export type ServerFrame =
  | {
      readonly type: "hello";
      readonly position: string;
      readonly user: ChatUser | null;
      readonly modes: Modes;
    }
  | { readonly type: "messages"; readonly position: string; readonly messages: readonly ChatMessage[] }
  | Ack
  | Refusal
  | { readonly type: "gap"; readonly after: string; readonly before: string }
  | ChatEvent;

type Fields = Readonly<Record<string, unknown>>;

/** A frame, or null for anything we do not know: newer servers may say more. */
export function readFrame(data: unknown): ServerFrame | null {
  const fields = parse(data);
  if (fields === null) return null;
  switch (fields.type) {
    case "hello":
      return {
        type: "hello",
        position: positionOf(fields.position),
        user: readUser(fields.user),
        modes: readModes(fields.modes),
      };
    case "messages":
      return {
        type: "messages",
        position: positionOf(fields.position),
        messages: readMessages(fields.messages),
      };
    case "ack":
      return readAck(fields);
    case "error":
      return readRefusal(fields);
    case "gap":
      return { type: "gap", after: positionOf(fields.after), before: positionOf(fields.before) };
    case "event":
      return readEvent(fields);
    default:
      return null;
  }
}

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
  if (typeof value === "string" && value !== "") {
    return { userId: value, username: value, badges: [], moderator: false };
  }
  if (!isFields(value)) return null;
  const userId = textOf(value.user_id);
  if (userId === "") return null;
  const username = textOf(value.username) || userId;
  return { userId, username, badges: textsOf(value.badges), moderator: value.moderator === true };
}

function readAck(fields: Fields): Ack {
  return {
    type: "ack",
    nonce: textOf(fields.nonce),
    messageId: textOf(fields.message_id),
    timestamp: numberOf(fields.timestamp) ?? 0,
    held: fields.held === true,
    notice: textOf(fields.notice),
  };
}

function readRefusal(fields: Fields): Refusal {
  return {
    type: "error",
    nonce: textOf(fields.nonce),
    code: textOf(fields.code),
    detail: textOf(fields.detail),
    retryAfterS: numberOf(fields.retry_after) ?? 0,
  };
}
