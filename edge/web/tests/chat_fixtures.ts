import type { ChatMessage } from "../src/chat/messages";

/** A message of which only what matters is given. */
export function said(fields: Partial<ChatMessage>): ChatMessage {
  return {
    messageId: "m",
    timestamp: 0,
    userId: "",
    username: "",
    message: "",
    badges: [],
    emotes: [],
    replyTo: "",
    parent: null,
    ...fields,
  };
}

export function message(messageId: string, userId = "u", text = messageId): ChatMessage {
  return said({ messageId, timestamp: 1, userId, username: userId, message: text });
}
