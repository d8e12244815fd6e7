import { type Line, linesOf, noticeLine, withoutMessages } from "./lines";
import type { ChatMessage } from "./messages";

/** Lines kept in the page while the newest are read. */
export const KEPT_LINES = 500;
/** Lines kept while somebody reads back. */
export const MOST_LINES = 2000;

/**
 * The lines of a chat: what is shown, and what came while the reader was looking at older lines. Both are
 * bounded; a message that comes twice is shown once.
 */
export class Timeline {
  private lines: readonly Line[] = [];
  private queue: readonly Line[] = [];
  private readonly known = new Set<string>();
  private count = 0;
  private missed = 0;

  /** Lines to show. */
  get shown(): readonly Line[] {
    return this.lines;
  }

  /** Messages and events that came and are not shown yet. */
  get waiting(): number {
    return this.missed;
  }

  /** Takes messages in, `position` is that of the last; those that are new. */
  add(messages: readonly ChatMessage[], position = ""): readonly ChatMessage[] {
    const fresh = linesOf(messages, position).filter((line) => !this.known.has(line.key));
    this.push(fresh);
    return messages.filter((message) => fresh.some((line) => line.key === message.messageId));
  }

  /** Says something in the list; the key of its line. */
  notice(text: string, tone: "quiet" | "event" = "quiet"): string {
    const key = this.nextKey();
    this.push([noticeLine(key, text, tone)]);
    return key;
  }

  announce(username: string, text: string): void {
    this.push([{ kind: "announcement", key: this.nextKey(), username, text }]);
  }

  /** A place where messages are missing; its key, for `fill`. */
  gap(text: string): string {
    const key = this.nextKey();
    this.push([{ kind: "gap", key, text }]);
    return key;
  }

  /** Puts messages in the place of a gap, and a notice where some are still missing. */
  fill(key: string, messages: readonly ChatMessage[], missing: string): void {
    const fresh = linesOf(messages, "").filter((line) => !this.known.has(line.key));
    for (const line of fresh) this.known.add(line.key);
    const into = missing === "" ? fresh : [...fresh, noticeLine(`${key}-left`, missing, "quiet")];
    const replace = (lines: readonly Line[]) =>
      lines.some((line) => line.key === key)
        ? lines.flatMap((line) => (line.key === key ? into : [line]))
        : lines;
    this.lines = replace(this.lines);
    this.queue = replace(this.queue);
  }

  /** Puts older messages ahead of all others; how many there were that are new. */
  prepend(messages: readonly ChatMessage[], before: string): number {
    const fresh = messages.filter((message) => !this.known.has(message.messageId));
    const first = fresh[0];
    const lines = linesOf(fresh, "").map((line) =>
      line.kind === "message" && line.message === first ? { ...line, position: before } : line,
    );
    for (const line of lines) this.known.add(line.key);
    this.lines = [...lines, ...this.lines];
    return lines.length;
  }

  /** The oldest place that the server knows, to ask for what is ahead of it; empty when there is none. */
  get oldestPosition(): string {
    const found = this.lines.find((line) => line.kind === "message" && line.position !== "");
    return found?.kind === "message" ? found.position : "";
  }

  /** Whether more can be put ahead. */
  get hasSpace(): boolean {
    return this.lines.length < MOST_LINES;
  }

  has(messageId: string): boolean {
    return this.known.has(messageId);
  }

  /** A user's messages that are here, oldest first. */
  of(userId: string): readonly ChatMessage[] {
    return [...this.lines, ...this.queue].flatMap((line) =>
      line.kind === "message" && line.message.userId === userId ? [line.message] : [],
    );
  }

  /** Moves what waits into view; whether there was anything. */
  flush(): boolean {
    if (this.queue.length === 0 && this.lines.length <= KEPT_LINES) return false;
    const all = [...this.lines, ...this.queue];
    this.lines = all.slice(-KEPT_LINES);
    this.queue = [];
    this.missed = 0;
    this.forget(all.slice(0, Math.max(0, all.length - KEPT_LINES)));
    return true;
  }

  /** Takes away messages that moderation removed. */
  remove(matches: (message: ChatMessage) => boolean): void {
    this.lines = withoutMessages(this.lines, matches);
    this.queue = withoutMessages(this.queue, matches);
  }

  /** Takes everything away. */
  clear(): void {
    this.lines = [];
    this.queue = [];
    this.missed = 0;
  }

  private nextKey(): string {
    this.count += 1;
    return `line-${this.count}`;
  }

  private push(lines: readonly Line[]): void {
    if (lines.length === 0) return;
    for (const line of lines) if (line.kind === "message") this.known.add(line.key);
    this.missed += lines.length;
    const all = [...this.queue, ...lines];
    this.queue = all.slice(-KEPT_LINES);
    this.forget(all.slice(0, Math.max(0, all.length - KEPT_LINES)));
  }

  private forget(lines: readonly Line[]): void {
    for (const line of lines) this.known.delete(line.key);
  }
}
