import { backoffMs } from "../lib/backoff";
import { askedToWaitMs, verdictOf } from "./close_codes";
import { readFrame, type ServerFrame } from "./frames";

export type ConnectionState =
  | { readonly name: "connecting" }
  | { readonly name: "open" }
  /** Lost; comes back at `retryAt` (Unix milliseconds). `reason` is empty when there is nothing to say. */
  | { readonly name: "waiting"; readonly retryAt: number; readonly reason: string }
  | { readonly name: "closed"; readonly reason: string; readonly tokenRefused: boolean };

/** The part of a WebSocket that this needs. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason?: string }) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

export interface ConnectionOptions {
  /** ws(s) address of the room, without a query. */
  readonly url: string;
  readonly open: (url: string) => Socket;
  readonly onState: (state: ConnectionState) => void;
  readonly onFrame: (frame: ServerFrame) => void;
  readonly clock: () => number;
  readonly random?: () => number;
  readonly later: (task: () => void, ms: number) => () => void;
}

const USUAL = { firstMs: 500, limitMs: 15_000 };
const SLOW = { firstMs: 10_000, limitMs: 60_000 };
/** No hello within this time: the connection is not going to work, milliseconds. */
const HELLO_MS = 10_000;
/**
 * The edge answers a message within five seconds, if only to say that it could not keep it. A line on which nothing
 * at all came for longer than that is dead, although nobody told the browser so, milliseconds.
 */
const DEAD_MS = 7000;

/** One chat subscription that comes back by itself and resumes where it was. */
export class ChatConnection {
  private socket: Socket | null = null;
  private position = "";
  private token: string | null = null;
  private attempt = 0;
  private greetedBefore = false;
  private cancel: () => void = () => {};
  private stopDoubting: () => void = () => {};
  private doubting = false;

  constructor(private readonly options: ConnectionOptions) {}

  start(token: string | null): void {
    this.token = token;
    this.attempt = 0;
    this.connect();
  }

  /** Uses another token (null: reads only), over a new connection that resumes. */
  authenticate(token: string | null): void {
    this.start(token);
  }

  /** Whether the frame went out. One after which nothing is heard any more opens another connection. */
  say(text: string, nonce: string, replyTo = ""): boolean {
    const frame = { type: "message", message: text, nonce };
    const sent = this.sendFrame(replyTo === "" ? frame : { ...frame, reply_to: replyTo });
    if (sent) this.doubt();
    return sent;
  }

  /** Comes back now instead of at the end of the wait. */
  hurry(): void {
    if (this.socket === null) this.connect();
  }

  stop(): void {
    this.cancel();
    this.drop();
  }

  private connect(): void {
    this.cancel();
    this.drop();
    this.options.onState({ name: "connecting" });
    this.greetedBefore = false;
    const socket = this.options.open(this.address());
    this.socket = socket;
    socket.onopen = () => this.introduce();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => this.lost(event.code, event.reason);
    this.cancel = this.options.later(() => this.lost(1006), HELLO_MS);
  }

  private address(): string {
    if (this.position === "") return this.options.url;
    return `${this.options.url}?${new URLSearchParams({ since: this.position })}`;
  }

  /** The token goes in the first frame: addresses end up in logs. */
  private introduce(): void {
    if (this.token !== null) this.sendFrame({ type: "auth", token: this.token });
  }

  private doubt(): void {
    if (this.doubting) return;
    this.doubting = true;
    const stop = this.options.later(() => this.lost(1006), DEAD_MS);
    this.stopDoubting = () => {
      stop();
      this.doubting = false;
    };
  }

  private received(data: unknown): void {
    this.stopDoubting();
    const frame = readFrame(data);
    if (frame === null) return;
    if (frame.type === "hello") this.greeted(frame.position);
    if (frame.type === "messages" && frame.position !== "") this.position = frame.position;
    this.options.onFrame(frame);
  }

  /**
   * What follows the first hello is everything behind its position. Another one answers our token: what we have
   * by then is newer than what it knows.
   */
  private greeted(position: string): void {
    this.cancel();
    this.attempt = 0;
    if (position !== "" && !this.greetedBefore) this.position = position;
    this.greetedBefore = true;
    this.options.onState({ name: "open" });
  }

  private lost(code: number, said = ""): void {
    this.cancel();
    this.drop();
    const verdict = verdictOf(code);
    if (!verdict.retry) {
      this.options.onState({ name: "closed", reason: verdict.reason, tokenRefused: verdict.dropToken });
      return;
    }
    const usualMs = backoffMs(this.attempt, verdict.slow ? SLOW : USUAL, this.options.random);
    const waitMs = Math.max(usualMs, askedToWaitMs(said) ?? 0);
    this.attempt += 1;
    const retryAt = this.options.clock() + waitMs;
    this.options.onState({ name: "waiting", retryAt, reason: verdict.reason });
    this.cancel = this.options.later(() => this.connect(), waitMs);
  }

  private drop(): void {
    this.stopDoubting();
    const socket = this.socket;
    if (socket === null) return;
    this.socket = null;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  private sendFrame(frame: Readonly<Record<string, string>>): boolean {
    if (this.socket === null) return false;
    try {
      this.socket.send(JSON.stringify(frame));
      return true;
    } catch {
      return false;
    }
  }
}
