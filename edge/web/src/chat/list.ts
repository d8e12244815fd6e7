import { signal } from "@preact/signals";
import type { Fetched } from "./desk";
import type { Line } from "./lines";
import type { ChatMessage } from "./messages";
import { type Past, readBetween, readOlder } from "./past";
import { KEPT_LINES, Timeline } from "./timeline";

/** New lines appear at most this often, milliseconds: one layout of the list for many messages. */
const FLUSH_MS = 90;
const OLDER_TRIES = 6;

/** The lines of a room as the page shows them: new ones in steps, older ones when the reader goes there. */
export class ChatList {
  readonly lines = signal<readonly Line[]>([]);
  /** New lines below the ones the reader is looking at. */
  readonly unseen = signal(0);
  /** How fetching older messages stands; "ready" when there are none. */
  readonly older = signal<Fetched>("idle");

  private readonly timeline = new Timeline();
  private following = true;
  private frame = 0;
  private flushedAt = 0;

  constructor(private readonly api: Past) {}

  close(): void {
    cancelAnimationFrame(this.frame);
  }

  /** Takes messages in; those that are new. */
  add(messages: readonly ChatMessage[], position: string): readonly ChatMessage[] {
    this.wake();
    return this.timeline.add(messages, position);
  }

  notice(text: string, tone: "quiet" | "event" = "quiet"): void {
    this.timeline.notice(text, tone);
    this.wake();
  }

  announce(username: string, text: string): void {
    this.timeline.announce(username, text);
    this.wake();
  }

  /** Takes away messages that moderation removed; null: all of them. */
  remove(matches: ((message: ChatMessage) => boolean) | null): void {
    if (matches === null) this.timeline.clear();
    else this.timeline.remove(matches);
    this.lines.value = this.timeline.shown;
  }

  has(messageId: string): boolean {
    return this.timeline.has(messageId);
  }

  /** A user's messages that are here, oldest first. */
  messagesOf(userId: string): readonly ChatMessage[] {
    return this.timeline.of(userId);
  }

  /** Whether new lines appear at once: true while the reader is at the end of the list. */
  follow(following: boolean): void {
    if (following === this.following) return;
    this.following = following;
    if (following) this.show();
  }

  /** Fetches what is older than the oldest line, unless that is done or going on. */
  async loadOlder(): Promise<void> {
    if (this.older.value === "loading" || this.older.value === "ready" || !this.timeline.hasSpace) return;
    this.older.value = "loading";
    this.older.value = await this.readBack(this.timeline.oldestPosition);
    this.lines.value = this.timeline.shown;
  }

  /** The first pages may hold what is here already: places are known of some messages only. */
  private async readBack(from: string): Promise<Fetched> {
    let before = from;
    for (let tries = 0; tries < OLDER_TRIES; tries++) {
      const page = await readOlder(this.api, before);
      if (page === null) return "failed";
      if (page.messages.length === 0) return "ready";
      if (this.timeline.prepend(page.messages, page.before) > 0) return "idle";
      before = page.before;
    }
    return "idle";
  }

  /** Fetches what the gateway could not keep between two positions, and says what is not to be had. */
  async fillGap(after: string, before: string): Promise<void> {
    const key = this.timeline.gap("Fetching what was missed");
    this.wake();
    const found = await readBetween(this.api, after, before);
    const missing = found.reached
      ? "Some messages in between are no longer kept."
      : "Some messages in between could not be fetched.";
    this.timeline.fill(key, found.messages, found.whole ? "" : missing);
    this.lines.value = this.timeline.shown;
    this.wake();
  }

  /** Shows what came at the next animation frame that is due. */
  private wake(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame((time) => this.onFrame(time));
  }

  private onFrame(time: number): void {
    this.frame = 0;
    if (time - this.flushedAt < FLUSH_MS) {
      this.wake();
      return;
    }
    this.flushedAt = time;
    this.show();
  }

  private show(): void {
    if (this.following && this.timeline.flush()) {
      this.lines.value = this.timeline.shown;
      // what leaves the list at its beginning can be fetched again
      if (this.lines.value.length >= KEPT_LINES && this.older.value === "ready") this.older.value = "idle";
    }
    this.unseen.value = this.timeline.waiting;
  }
}
