import type { ChatApi, Page } from "./api";
import type { ChatMessage } from "./messages";

/** Messages of one request; of a hole at most so many requests are made. */
const PAGE = 100;
const PAGES = 5;

/** What can be asked for messages. */
export type Past = Pick<ChatApi, "history">;

/** What a hole in the list turned out to hold. */
export interface Found {
  readonly messages: readonly ChatMessage[];
  /** Whether that is all there was. */
  readonly whole: boolean;
  /** Whether the server answered. */
  readonly reached: boolean;
}

/** The page of messages ahead of a position, or the last one; null when the server does not answer. */
export async function readOlder(api: Past, before: string): Promise<Page | null> {
  const query = before === "" ? { limit: `${PAGE}` } : { before, limit: `${PAGE}` };
  const answer = await api.history(query);
  return answer.ok ? answer.value : null;
}

/** Reads what stands between two positions. */
export async function readBetween(api: Past, after: string, before: string): Promise<Found> {
  const messages: ChatMessage[] = [];
  let from = after;
  for (let page = 0; page < PAGES; page++) {
    const answer = await api.history({ after: from, before, limit: `${PAGE}` });
    if (!answer.ok) return { messages, whole: false, reached: false };
    messages.push(...answer.value.messages);
    if (answer.value.messages.length < PAGE) return { messages, whole: messages.length > 0, reached: true };
    from = answer.value.position;
  }
  return { messages, whole: false, reached: true };
}
