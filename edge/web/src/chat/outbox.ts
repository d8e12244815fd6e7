import type { ChatMessage } from "./messages";

/** A message of ours that is on its way. */
export interface Pending {
  readonly nonce: string;
  readonly text: string;
  /** Id of the message that it answers; empty when it answers none. */
  readonly replyTo: string;
  /** sent: durable, and about to be told to everybody; held: a moderator looks at it first. */
  readonly state: "sending" | "sent" | "held" | "failed";
  /** Why it failed. */
  readonly reason: string;
  /** Since when an answer is waited for, Unix milliseconds. */
  readonly sentAt: number;
  /** Once it has one. */
  readonly messageId: string;
}

/** Without an answer for this long a message counts as not sent, milliseconds. */
export const ACK_MS = 10_000;
/** A message that is durable and was not told to us for this long: it is elsewhere in the list, or was removed. */
const TOLD_MS = 10_000;
/** Unanswered messages at a time. */
const LIMIT = 20;

export type Outbox = readonly Pending[];

export function sending(outbox: Outbox, nonce: string, text: string, now: number, replyTo = ""): Outbox {
  const made = { nonce, text, replyTo, state: "sending" as const, reason: "", sentAt: now, messageId: "" };
  return [...outbox, made].slice(-LIMIT);
}

export function without(outbox: Outbox, nonce: string): Outbox {
  return outbox.filter((pending) => pending.nonce !== nonce);
}

/** It is durable: it stays until everybody was told. */
export function acknowledged(
  outbox: Outbox,
  nonce: string,
  messageId: string,
  held: boolean,
  now: number,
): Outbox {
  const state = held ? "held" : "sent";
  return outbox.map((pending) =>
    pending.nonce === nonce ? { ...pending, state, messageId, sentAt: now, reason: "" } : pending,
  );
}

export function failed(outbox: Outbox, nonce: string, reason: string): Outbox {
  return outbox.map((pending) =>
    pending.nonce === nonce ? { ...pending, state: "failed", reason } : pending,
  );
}

/** Its sender tries once more. */
export function again(outbox: Outbox, nonce: string, now: number): Outbox {
  return outbox.map((pending) =>
    pending.nonce === nonce ? { ...pending, state: "sending", reason: "", sentAt: now } : pending,
  );
}

/** There is no way back: nobody will answer what was on its way. */
export function allFailed(outbox: Outbox, reason: string): Outbox {
  return outbox.map((pending) =>
    pending.state === "sending" ? { ...pending, state: "failed", reason } : pending,
  );
}

/** The connection is back: what was on its way goes out once more, with the nonces it had. */
export function resent(outbox: Outbox, now: number): Outbox {
  return outbox.map((pending) => (pending.state === "sending" ? { ...pending, sentAt: now } : pending));
}

/** What waited too long for its answer has failed; what everybody else must know by now is forgotten. */
export function overdue(outbox: Outbox, now: number): Outbox {
  const late = (pending: Pending) =>
    (pending.state === "sending" && now - pending.sentAt > ACK_MS) ||
    (pending.state === "sent" && now - pending.sentAt > TOLD_MS);
  if (!outbox.some(late)) return outbox;
  return outbox
    .filter((pending) => pending.state !== "sent" || !late(pending))
    .map((pending) =>
      late(pending) ? { ...pending, state: "failed", reason: "The chat did not answer." } : pending,
    );
}

/** Messages that everybody was told: ours among them are no longer on their way. */
export function echoed(outbox: Outbox, userId: string, messages: readonly ChatMessage[]): Outbox {
  if (outbox.length === 0) return outbox;
  let left = outbox;
  for (const message of messages) {
    if (message.userId !== userId) continue;
    const byId = left.findIndex((pending) => pending.messageId === message.messageId);
    const index = byId >= 0 ? byId : left.findIndex((pending) => isEcho(pending, message));
    if (index >= 0) left = left.filter((_, place) => place !== index);
  }
  return left;
}

/** Our own message may be told to everybody before its acknowledgement reaches us. */
function isEcho(pending: Pending, message: ChatMessage): boolean {
  return pending.messageId === "" && pending.state !== "failed" && pending.text === message.message;
}
