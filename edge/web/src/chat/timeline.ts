import type { ChatMessage } from "./frames";

/** Lines kept in the page. */
export const KEPT_LINES = 300;

export type Line =
  | { readonly kind: "message"; readonly key: string; readonly message: ChatMessage }
  | { readonly kind: "notice"; readonly key: string; readonly text: string };

/**
 * The lines of a chat: what is shown, and what came while the reader was looking at older lines. Both are
 * bounded; a message that comes twice is shown once.
 */
export class Timeline {
  private lines: readonly Line[] = [];
  private queue: Line[] = [];
  private readonly known = new Set<string>();
  private notices = 0;
  private missed = 0;

  /** Lines to show. */
  get shown(): readonly Line[] {
    return this.lines;
  }

  /** Lines that came and are not shown yet. */
  get waiting(): number {
    return this.missed;
  }

  /** Takes messages in; those that are new. */
  add(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    const fresh = messages.filter((message) => !this.known.has(message.messageId));
    for (const message of fresh) {
      this.known.add(message.messageId);
      this.push({ kind: "message", key: message.messageId, message });
    }
    return fresh;
  }

  notice(text: string): void {
    this.notices += 1;
    this.push({ kind: "notice", key: `notice-${this.notices}`, text });
  }

  has(messageId: string): boolean {
    return this.known.has(messageId);
  }

  /** Moves what waits into view; whether there was anything. */
  flush(): boolean {
    if (this.queue.length === 0) return false;
    const all = [...this.lines, ...this.queue];
    this.lines = all.slice(-KEPT_LINES);
    this.queue = [];
    this.missed = 0;
    this.forget(all.slice(0, Math.max(0, all.length - KEPT_LINES)));
    return true;
  }

  /** Takes away lines that moderation removed; `null` clears everything. */
  remove(matches: ((message: ChatMessage) => boolean) | null): void {
    const stays = (line: Line) => line.kind === "notice" || (matches !== null && !matches(line.message));
    this.lines = this.lines.filter(stays);
    this.queue = this.queue.filter(stays);
    this.missed = Math.min(this.missed, this.queue.length);
  }

  private push(line: Line): void {
    this.queue.push(line);
    this.missed += 1;
    if (this.queue.length > KEPT_LINES) this.forget(this.queue.splice(0, this.queue.length - KEPT_LINES));
  }

  private forget(lines: readonly Line[]): void {
    for (const line of lines) this.known.delete(line.key);
  }
}
