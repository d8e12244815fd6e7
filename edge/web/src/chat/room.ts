import { signal } from "@preact/signals";
import { readSetting, writeSetting } from "../lib/storage";
import { errorSentence } from "./close_codes";
import { ChatConnection, type ConnectionState, type Socket } from "./connection";
import type { ChatUser, ServerFrame } from "./frames";
import { allFailed, answered, echoed, failed, type Outbox, overdue, sending } from "./outbox";
import { type Line, Timeline } from "./timeline";

export const MAX_CHARACTERS = 500;
/** New lines appear at most this often, milliseconds: one layout of the list for many messages. */
const FLUSH_MS = 90;

/** One channel's chat as the page shows it. */
export class ChatRoom {
  readonly connection = signal<ConnectionState>({ name: "connecting" });
  readonly lines = signal<readonly Line[]>([]);
  /** New messages below the ones the reader is looking at. */
  readonly unseen = signal(0);
  readonly outbox = signal<Outbox>([]);
  readonly user = signal<ChatUser | null>(null);
  readonly token = signal(readSetting("chat-token"));
  /** What went wrong last, in a sentence; empty when nothing did. */
  readonly problem = signal("");
  /** Until when the rate limit forbids writing, Unix milliseconds. */
  readonly quietUntil = signal(0);

  private readonly timeline = new Timeline();
  private readonly link: ChatConnection;
  private readonly ticker: ReturnType<typeof setInterval>;
  private following = true;
  private frame = 0;
  private flushedAt = 0;
  private nonces = 0;
  private readonly online = () => this.link.hurry();

  constructor(channel: string) {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    this.link = new ChatConnection({
      url: `${scheme}://${window.location.host}/chat/${encodeURIComponent(channel)}/subscribe`,
      open: (url) => new WebSocket(url) as Socket,
      onState: (state) => this.stateChanged(state),
      onFrame: (frame) => this.take(frame),
      clock: Date.now,
      later: (task, ms) => {
        const timer = setTimeout(task, ms);
        return () => clearTimeout(timer);
      },
    });
    this.ticker = setInterval(() => this.tick(), 1000);
    window.addEventListener("online", this.online);
    this.link.start(this.token.value);
  }

  close(): void {
    this.link.stop();
    clearInterval(this.ticker);
    cancelAnimationFrame(this.frame);
    window.removeEventListener("online", this.online);
  }

  send(text: string): void {
    const words = text.trim();
    if (words === "") return;
    this.nonces += 1;
    const nonce = `${Date.now().toString(36)}-${this.nonces}`;
    this.problem.value = "";
    this.outbox.value = sending(this.outbox.value, nonce, words, Date.now());
    if (!this.link.say(words, nonce)) {
      this.outbox.value = failed(this.outbox.value, nonce, "The chat is not connected.");
    }
  }

  sendAgain(nonce: string): void {
    const text = this.outbox.value.find((pending) => pending.nonce === nonce)?.text;
    this.discard(nonce);
    if (text !== undefined) this.send(text);
  }

  discard(nonce: string): void {
    this.outbox.value = answered(this.outbox.value, nonce);
  }

  /** Uses a token and keeps it; null forgets it. */
  useToken(token: string | null): void {
    writeSetting("chat-token", token);
    this.token.value = token;
    this.user.value = null;
    this.problem.value = "";
    this.link.authenticate(token);
  }

  /** Whether new lines appear at once: true while the reader is at the end of the list. */
  follow(following: boolean): void {
    if (following === this.following) return;
    this.following = following;
    if (following) this.show();
  }

  hurry(): void {
    this.link.hurry();
  }

  private stateChanged(state: ConnectionState): void {
    this.connection.value = state;
    if (state.name === "open" || state.name === "connecting") return;
    this.outbox.value = allFailed(this.outbox.value, "The connection was lost before the chat answered.");
    if (state.name === "closed" && state.tokenRefused) {
      this.useToken(null);
      this.problem.value = state.reason;
    }
  }

  private take(frame: ServerFrame): void {
    switch (frame.type) {
      case "hello":
        this.user.value = frame.user;
        return;
      case "messages": {
        const fresh = this.timeline.add(frame.messages);
        const user = this.user.value;
        if (user !== null) this.outbox.value = echoed(this.outbox.value, user.userId, fresh);
        this.wake();
        return;
      }
      case "ack":
        this.outbox.value = answered(this.outbox.value, frame.nonce);
        return;
      case "error":
        this.refused(frame);
        return;
      case "gap":
        this.timeline.notice("Some messages in between are no longer kept.");
        this.wake();
        return;
      case "event":
        this.happened(frame);
        return;
    }
  }

  private refused(frame: Extract<ServerFrame, { type: "error" }>): void {
    const sentence = errorSentence(frame.code, frame.detail);
    this.problem.value = sentence;
    if (frame.retryAfterS > 0) this.quietUntil.value = Date.now() + frame.retryAfterS * 1000;
    if (frame.nonce !== "") this.outbox.value = failed(this.outbox.value, frame.nonce, sentence);
  }

  private happened(frame: Extract<ServerFrame, { type: "event" }>): void {
    if (frame.event === "clear") {
      this.timeline.remove(null);
      this.timeline.notice("A moderator cleared the chat.");
    } else if (frame.event === "delete") {
      this.timeline.remove((message) => frame.messageIds.includes(message.messageId));
    } else if ((frame.event === "ban" || frame.event === "timeout") && frame.userId !== "") {
      this.timeline.remove((message) => message.userId === frame.userId);
    } else {
      return;
    }
    this.lines.value = this.timeline.shown;
    this.wake();
  }

  private tick(): void {
    this.outbox.value = overdue(this.outbox.value, Date.now());
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
    if (this.following && this.timeline.flush()) this.lines.value = this.timeline.shown;
    this.unseen.value = this.timeline.waiting;
  }
}
