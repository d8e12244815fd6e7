import type { ChatMessage } from "./frames";

/** A message of ours that is on its way. */
export interface Pending {
  readonly nonce: string;
  readonly text: string;
  readonly state: "sending" | "failed";
  /** Why it failed. */
  readonly reason: string;
  /** Unix milliseconds. */
  readonly sentAt: number;
}

/** Without an answer for this long a message counts as not sent, milliseconds. */
export const ACK_MS = 10_000;
/** Unanswered messages at a time. */
const LIMIT = 20;

export type Outbox = readonly Pending[];

export function sending(outbox: Outbox, nonce: string, text: string, now: number): Outbox {
  return [...outbox, { nonce, text, state: "sending" as const, reason: "", sentAt: now }].slice(-LIMIT);
}

export function answered(outbox: Outbox, nonce: string): Outbox {
  return outbox.filter((pending) => pending.nonce !== nonce);
}

export function failed(outbox: Outbox, nonce: string, reason: string): Outbox {
  return outbox.map((pending) =>
    pending.nonce === nonce ? { ...pending, state: "failed", reason } : pending,
  );
}

/** The connection is gone: nobody will answer what was on its way. */
export function allFailed(outbox: Outbox, reason: string): Outbox {
  return outbox.map((pending) =>
    pending.state === "sending" ? { ...pending, state: "failed", reason } : pending,
  );
}

export function overdue(outbox: Outbox, now: number): Outbox {
  const late = outbox.some((pending) => pending.state === "sending" && now - pending.sentAt > ACK_MS);
  if (!late) return outbox;
  return outbox.map((pending) =>
    pending.state === "sending" && now - pending.sentAt > ACK_MS
      ? { ...pending, state: "failed", reason: "The chat did not answer." }
      : pending,
  );
}

/** Our own message may be told to everybody before its acknowledgement reaches us: it is here, then. */
export function echoed(outbox: Outbox, userId: string, messages: readonly ChatMessage[]): Outbox {
  let left = outbox;
  for (const message of messages) {
    if (message.userId !== userId) continue;
    const index = left.findIndex((pending) => pending.text === message.message);
    if (index >= 0) left = left.filter((_, place) => place !== index);
  }
  return left;
}
