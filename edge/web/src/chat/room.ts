import { signal } from "@preact/signals";
import { RecentIds } from "../lib/recent";
import { readSecret, writeSecret } from "../lib/session";
import { readSetting, writeSetting } from "../lib/storage";
import { newViewId } from "../quality/view_id";
import { ChatApi } from "./api";
import { ChatConnection, type ConnectionState, type Socket } from "./connection";
import { Desk } from "./desk";
import { errorSentence, waitWords } from "./errors";
import { type ChatEvent, eventSentence } from "./events";
import type { Ack, ChatUser, Refusal, ServerFrame } from "./frames";
import { ChatList } from "./list";
import type { ChatMessage } from "./messages";
import {
  acknowledged,
  again,
  allFailed,
  echoed,
  failed,
  type Outbox,
  overdue,
  resent,
  sending,
  without,
} from "./outbox";
import { NO_WAIT, type Wait, waitAfter, waitOfSlowMode, waitUnder } from "./wait";

export const MAX_CHARACTERS = 500;
const AUTHORS = 200;
/** So that what was told meanwhile is here before anything goes out once more, milliseconds. */
const RESEND_MS = 300;
const STATE_SPREAD_MS = 3000;
/** A page goes along with a raid after this long, milliseconds. */
const RAID_MS = 15_000;
/** A raid that is older was another time, milliseconds. */
const RAID_OLD_MS = 60_000;

export interface Raid {
  readonly target: string;
  readonly viewers: number;
  /** When the page goes there, Unix milliseconds; null when it stays. */
  readonly goAt: number | null;
}

/** One channel's chat as the page shows it. */
export class ChatRoom {
  readonly connection = signal<ConnectionState>({ name: "connecting" });
  readonly outbox = signal<Outbox>([]);
  readonly user = signal<ChatUser | null>(null);
  readonly token = signal(readSetting("chat-token"));
  /** What went wrong last, in a sentence; empty when nothing did. */
  readonly problem = signal("");
  readonly wait = signal<Wait>(NO_WAIT);
  readonly replyTo = signal<ChatMessage | null>(null);
  readonly raid = signal<Raid | null>(null);
  readonly api: ChatApi;
  readonly desk: Desk;
  readonly list: ChatList;

  private readonly link: ChatConnection;
  private readonly ticker: ReturnType<typeof setInterval>;
  private readonly authors = new Set<string>();
  private readonly events = new RecentIds();
  private resend: ReturnType<typeof setTimeout> | undefined;
  private reading: ReturnType<typeof setTimeout> | undefined;
  private readonly online = () => this.link.hurry();

  constructor(readonly channel: string) {
    const scheme = window.location.protocol === "https:" ? "wss" : "ws";
    this.api = new ChatApi(channel, () => this.token.peek());
    this.desk = new Desk(this.api, this.user);
    this.list = new ChatList(this.api);
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
    clearTimeout(this.resend);
    clearTimeout(this.reading);
    this.list.close();
    window.removeEventListener("online", this.online);
  }

  // -- writing

  send(text: string): void {
    const words = text.trim();
    if (words === "") return;
    const nonce = newViewId();
    const replyTo = this.replyTo.value?.messageId ?? "";
    this.replyTo.value = null;
    this.problem.value = "";
    this.outbox.value = sending(this.outbox.value, nonce, words, Date.now(), replyTo);
    this.link.say(words, nonce, replyTo);
  }

  /** With the nonce it had: if it was taken after all, it is not taken twice. */
  sendAgain(nonce: string): void {
    const pending = this.outbox.value.find((one) => one.nonce === nonce);
    if (pending === undefined) return;
    this.outbox.value = again(this.outbox.value, nonce, Date.now());
    this.link.say(pending.text, nonce, pending.replyTo);
  }

  discard(nonce: string): void {
    this.outbox.value = without(this.outbox.value, nonce);
  }

  /** What was being written when the page was left. */
  get draft(): string {
    return readSecret(`draft.${this.channel}`) ?? "";
  }

  set draft(text: string) {
    writeSecret(`draft.${this.channel}`, text === "" ? null : text);
  }

  /** Uses a token and keeps it; null forgets it. */
  useToken(token: string | null): void {
    writeSetting("chat-token", token);
    this.token.value = token;
    this.user.value = null;
    this.problem.value = "";
    this.wait.value = NO_WAIT;
    this.desk.forget();
    this.link.authenticate(token);
  }

  // -- reading

  hurry(): void {
    this.link.hurry();
  }

  /** Names of those who wrote, the last first. */
  get recentAuthors(): readonly string[] {
    return [...this.authors].reverse();
  }

  // -- what the connection brings

  private stateChanged(state: ConnectionState): void {
    this.connection.value = state;
    // what waits for an answer from a line that is gone has a new one to wait for
    if (state.name === "open") this.outbox.value = resent(this.outbox.value, Date.now());
    if (state.name !== "closed") return;
    this.outbox.value = allFailed(this.outbox.value, "The connection was lost before the chat answered.");
    if (state.tokenRefused) {
      this.useToken(null);
      this.problem.value = state.reason;
    }
  }

  private take(frame: ServerFrame): void {
    switch (frame.type) {
      case "hello":
        this.desk.modes.value = frame.modes;
        this.greeted(frame.user);
        return;
      case "messages":
        this.heard(frame.messages, frame.position);
        return;
      case "ack":
        this.accepted(frame);
        return;
      case "error":
        this.refused(frame);
        return;
      case "gap":
        void this.list.fillGap(frame.after, frame.before);
        return;
      case "event":
        this.happened(frame);
        return;
    }
  }

  /** Answers to the token follow the first hello: only then what was on its way goes out again. */
  private greeted(user: ChatUser | null): void {
    if (user === null && this.token.value !== null) return;
    this.user.value = user;
    this.readState();
    clearTimeout(this.resend);
    if (this.outbox.value.length > 0) this.resend = setTimeout(() => this.sendOnceMore(), RESEND_MS);
  }

  /** At once the first time; those who come back together do not ask together. */
  private readState(): void {
    clearTimeout(this.reading);
    const waitMs = this.desk.emotesFetched.value === "idle" ? 0 : Math.random() * STATE_SPREAD_MS;
    this.reading = setTimeout(() => void this.desk.refresh(), waitMs);
  }

  private sendOnceMore(): void {
    this.outbox.value = resent(this.outbox.value, Date.now());
    for (const { state, text, nonce, replyTo } of this.outbox.value) {
      if (state === "sending") this.link.say(text, nonce, replyTo);
    }
  }

  private heard(messages: readonly ChatMessage[], position: string): void {
    const fresh = this.list.add(messages, position);
    const user = this.user.value;
    if (user !== null) this.outbox.value = echoed(this.outbox.value, user.userId, fresh);
    for (const { username } of fresh) this.remember(username);
  }

  private remember(username: string): void {
    this.authors.delete(username);
    this.authors.add(username);
    const [oldest] = this.authors;
    if (this.authors.size > AUTHORS && oldest !== undefined) this.authors.delete(oldest);
  }

  private accepted(ack: Ack): void {
    const now = Date.now();
    if (ack.notice !== "" || this.list.has(ack.messageId)) {
      this.outbox.value = without(this.outbox.value, ack.nonce);
    } else {
      this.outbox.value = acknowledged(this.outbox.value, ack.nonce, ack.messageId, ack.held, now);
    }
    if (ack.notice === "done") this.desk.say("Done.", false);
    else if (ack.notice !== "") this.list.notice(ack.notice);
    else this.wait.value = waitOfSlowMode(this.desk.modes.value, this.user.value, now) ?? this.wait.value;
  }

  private refused(refusal: Refusal): void {
    const wait = waitAfter(refusal, Date.now());
    if (wait !== null) this.wait.value = wait;
    const sentence = errorSentence(refusal.code, refusal.detail, wait === null ? refusal.retryAfterS : 0);
    if (refusal.nonce !== "") this.outbox.value = failed(this.outbox.value, refusal.nonce, sentence);
    else this.problem.value = sentence;
  }

  /** Who comes back may be told again what was done at another edge. */
  private happened(event: ChatEvent): void {
    if (event.eventId !== "" && !this.events.add(event.eventId)) return;
    this.desk.happened(event);
    this.wait.value = waitUnder(this.desk.modes.value, this.wait.value);
    this.hide(event);
    if (event.event === "announce") this.list.announce(event.username, event.text);
    if (event.event === "raid" && event.target !== "") this.raided(event);
    if (event.userId !== "" && event.userId === this.user.value?.userId) this.happenedToUs(event);
    const sentence = eventSentence(event);
    if (sentence !== "") this.list.notice(sentence, event.event === "clear" ? "quiet" : "event");
  }

  /** Takes away what an event says is gone. */
  private hide(event: ChatEvent): void {
    if (event.event === "clear") {
      this.list.remove(null);
    } else if (event.event === "delete") {
      this.list.remove((message) => event.messageIds.includes(message.messageId));
    } else if ((event.event === "ban" || event.event === "timeout") && event.userId !== "") {
      this.list.remove((message) => message.userId === event.userId);
    }
  }

  private raided(event: ChatEvent): void {
    const now = Date.now();
    if (event.timestamp > 0 && event.timestamp < now - RAID_OLD_MS) return;
    const goAt = this.desk.rank.value === "owner" ? null : now + RAID_MS;
    this.raid.value = { target: event.target, viewers: event.viewers, goAt };
  }

  private happenedToUs(event: ChatEvent): void {
    if (event.event === "role") this.promoted(event.role);
    else if (event.event === "timeout")
      this.wait.value = { until: event.until, words: waitWords("timed_out") };
    else if (event.event === "unban") this.wait.value = NO_WAIT;
  }

  private promoted(role: string): void {
    const user = this.user.value;
    if (user === null) return;
    const own = user.badges.filter((badge) => badge !== "moderator" && badge !== "vip");
    const badges = role === "" ? own : [role, ...own];
    this.user.value = { ...user, badges, moderator: role === "moderator" };
    this.desk.forget();
    void this.desk.refresh();
  }

  // -- time

  private tick(): void {
    const now = Date.now();
    if (this.connection.value.name === "open") this.outbox.value = overdue(this.outbox.value, now);
    this.desk.tick(now);
  }
}
