import type { ChatMessage } from "./messages";

/** What stands in the list, each with a key of its own. A line never changes: another one takes its place. */
export type Line =
  | {
      readonly kind: "message";
      readonly key: string;
      readonly message: ChatMessage;
      /** Where the server has it, when it said so. */
      readonly position: string;
    }
  /** Messages of one author that moderation took away. */
  | {
      readonly kind: "gone";
      readonly key: string;
      readonly userId: string;
      readonly text: string;
      readonly count: number;
    }
  /** Something that happened. */
  | { readonly kind: "notice"; readonly key: string; readonly text: string; readonly tone: "quiet" | "event" }
  | { readonly kind: "announcement"; readonly key: string; readonly username: string; readonly text: string }
  /** Messages that are being fetched. */
  | { readonly kind: "gap"; readonly key: string; readonly text: string };

/** Messages that a frame brought; its position is that of the last one. */
export function linesOf(messages: readonly ChatMessage[], position: string): readonly Line[] {
  return messages.map((message, index) => ({
    kind: "message" as const,
    key: message.messageId,
    message,
    position: index === messages.length - 1 ? position : "",
  }));
}

export function noticeLine(key: string, text: string, tone: "quiet" | "event"): Line {
  return { kind: "notice", key, text, tone };
}

/** The same lines with messages that `matches` taken away; neighbours of one author become one line. */
export function withoutMessages(
  lines: readonly Line[],
  matches: (message: ChatMessage) => boolean,
): readonly Line[] {
  const kept: Line[] = [];
  let changed = false;
  for (const line of lines) {
    if (line.kind !== "message" || !matches(line.message)) {
      kept.push(line);
      continue;
    }
    changed = true;
    const last = kept.at(-1);
    const joined = last?.kind === "gone" && last.userId === line.message.userId ? last : null;
    if (joined !== null) kept.pop();
    kept.push(goneLine(line.message, joined?.key ?? line.key, (joined?.count ?? 0) + 1));
  }
  return changed ? kept : lines;
}

function goneLine(message: ChatMessage, key: string, count: number): Line {
  const text =
    count === 1
      ? `A message of ${message.username} was removed`
      : `${count} messages of ${message.username} were removed`;
  return { kind: "gone", key, userId: message.userId, text, count };
}
