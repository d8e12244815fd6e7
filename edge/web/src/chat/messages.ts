import { isFields, numberOf, textOf } from "../api/types";

/** Chat messages as the server writes them, read without trust. */

/** A word that is shown as a picture: code points `start` to `end`, exclusive. */
export interface Emote {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** What a message replies to, as far as the server knew it. */
export interface Parent {
  readonly userId: string;
  readonly username: string;
  readonly text: string;
}

export interface ChatMessage {
  readonly messageId: string;
  /** Unix milliseconds. */
  readonly timestamp: number;
  readonly userId: string;
  readonly username: string;
  readonly message: string;
  readonly badges: readonly string[];
  readonly emotes: readonly Emote[];
  /** Id of the message that this one answers; empty when it answers none. */
  readonly replyTo: string;
  readonly parent: Parent | null;
}

type Fields = Readonly<Record<string, unknown>>;

export function readMessages(value: unknown): readonly ChatMessage[] {
  return listOf(value, readMessage);
}

export function readMessage(value: unknown): ChatMessage | null {
  if (!isFields(value) || textOf(value.message_id) === "") return null;
  const userId = textOf(value.user_id);
  return {
    messageId: textOf(value.message_id),
    timestamp: numberOf(value.timestamp) ?? 0,
    userId,
    username: textOf(value.username) || userId,
    message: textOf(value.message),
    badges: textsOf(value.badges),
    emotes: listOf(value.emotes, readEmote),
    replyTo: textOf(value.reply_to),
    parent: isFields(value.parent) ? readParent(value.parent) : null,
  };
}

function readEmote(value: unknown): Emote | null {
  if (!isFields(value)) return null;
  const start = numberOf(value.start) ?? -1;
  const end = numberOf(value.end) ?? -1;
  const sound = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end > start;
  return sound ? { name: textOf(value.name), start, end } : null;
}

function readParent(fields: Fields): Parent {
  const userId = textOf(fields.user_id);
  return { userId, username: textOf(fields.username) || userId, text: textOf(fields.text) };
}

/** The items of an array that `read` can make something of. */
export function listOf<T>(value: unknown, read: (item: unknown) => T | null): readonly T[] {
  return Array.isArray(value) ? value.map(read).filter((item) => item !== null) : [];
}

export function textsOf(value: unknown): readonly string[] {
  return listOf(value, (item) => (typeof item === "string" ? item : null));
}
