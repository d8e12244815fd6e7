import { beforeEach, describe, expect, it } from "vitest";
import { ChatConnection, type ConnectionState, type Socket } from "../src/chat/connection";
import type { ServerFrame } from "../src/chat/frames";

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason?: string }) => void) | null = null;
  readonly sent: unknown[] = [];
  closed = false;
  constructor(readonly url: string) {}
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
  }
  hear(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

/** A connection with a clock that moves by hand. */
class Bench {
  readonly sockets: FakeSocket[] = [];
  readonly states: ConnectionState[] = [];
  readonly frames: ServerFrame[] = [];
  now = 0;
  private timers: { at: number; task: () => void }[] = [];
  readonly link = new ChatConnection({
    url: "ws://edge/chat/main/subscribe",
    open: (url) => {
      const socket = new FakeSocket(url);
      this.sockets.push(socket);
      return socket;
    },
    onState: (state) => this.states.push(state),
    onFrame: (frame) => this.frames.push(frame),
    clock: () => this.now,
    random: () => 1,
    later: (task, ms) => {
      const timer = { at: this.now + ms, task };
      this.timers.push(timer);
      return () => {
        this.timers = this.timers.filter((one) => one !== timer);
      };
    },
  });

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no socket was opened");
    return socket;
  }

  get state(): ConnectionState | undefined {
    return this.states.at(-1);
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = next.at;
      next.task();
    }
    this.now = until;
  }
}

const hello = (position: string) => ({ type: "hello", position, user: null });
const messages = (position: string, ...ids: string[]) => ({
  type: "messages",
  position,
  messages: ids.map((id) => ({ message_id: id, user_id: "u", username: "U", message: id, timestamp: 1 })),
});

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
});

describe("a chat connection", () => {
  it("opens with a hello", () => {
    bench.link.start(null);
    expect(bench.state).toEqual({ name: "connecting" });
    bench.socket.hear(hello("5"));
    expect(bench.state).toEqual({ name: "open" });
    expect(bench.socket.sent).toEqual([]);
  });

  it("says who it is in the first frame, not in the address", () => {
    bench.link.start("secret");
    bench.socket.onopen?.();
    expect(bench.socket.sent).toEqual([{ type: "auth", token: "secret" }]);
    expect(bench.socket.url).not.toContain("secret");
  });

  it("resumes behind the last message", () => {
    bench.link.start(null);
    bench.socket.hear(hello("5"));
    bench.socket.hear(messages("1-7", "a", "b"));
    bench.socket.onclose?.({ code: 1006 });
    bench.pass(500);
    expect(bench.socket.url).toBe("ws://edge/chat/main/subscribe?since=1-7");
  });

  it("keeps its place when a second hello answers the token", () => {
    bench.link.start("t");
    bench.socket.hear(hello("5"));
    bench.socket.hear(messages("7", "a"));
    bench.socket.hear(hello("0-0"));
    bench.socket.onclose?.({ code: 1006 });
    bench.pass(500);
    expect(bench.socket.url).toContain("since=7");
  });

  it.each([1001, 1006, 1011, 1012, 4008, 4009])("comes back after %i, later each time", (code) => {
    bench.link.start(null);
    const waits = [0, 1, 2].map(() => {
      bench.socket.onclose?.({ code });
      const state = bench.state;
      const wait = state?.name === "waiting" ? state.retryAt - bench.now : -1;
      bench.pass(wait);
      return wait;
    });
    expect(waits).toEqual([500, 1000, 2000]);
    expect(bench.sockets.length).toBe(4);
  });

  it("starts over with short waits after a hello", () => {
    bench.link.start(null);
    bench.socket.onclose?.({ code: 1006 });
    bench.pass(500);
    bench.socket.hear(hello("1"));
    bench.socket.onclose?.({ code: 1006 });
    expect(bench.state).toEqual({ name: "waiting", retryAt: bench.now + 500, reason: "" });
  });

  it("waits long where there are too many", () => {
    bench.link.start(null);
    bench.socket.onclose?.({ code: 4029 });
    expect(bench.state).toMatchObject({ name: "waiting", retryAt: 10_000 });
    expect(bench.state).toHaveProperty("reason", expect.stringContaining("too many"));
  });

  it("comes back to a server that sends everybody elsewhere when it is asked to", () => {
    bench.link.start(null);
    bench.socket.onclose?.({ code: 4009, reason: "retry_after=7.5" });
    expect(bench.state).toMatchObject({ name: "waiting", retryAt: 7500 });
  });

  it("says what a message answers", () => {
    bench.link.start(null);
    bench.link.say("yes", "n1", "parent");
    expect(bench.socket.sent).toEqual([{ type: "message", message: "yes", nonce: "n1", reply_to: "parent" }]);
  });

  it.each([
    [4001, true],
    [4003, false],
    [4004, false],
  ])("stays away after %i", (code, tokenRefused) => {
    bench.link.start("t");
    bench.socket.onclose?.({ code });
    expect(bench.state).toMatchObject({ name: "closed", tokenRefused });
    bench.pass(600_000);
    expect(bench.sockets.length).toBe(1);
  });

  it("gives up on a server that never says hello", () => {
    bench.link.start(null);
    const silent = bench.socket;
    bench.pass(10_000);
    expect(silent.closed).toBe(true);
    expect(bench.state?.name).toBe("waiting");
  });

  it("leaves a line on which nothing answers a message", () => {
    bench.link.start(null);
    bench.socket.hear(hello("5"));
    bench.link.say("x", "n1");
    bench.pass(5000);
    bench.link.say("y", "n2");
    bench.pass(1999);
    expect(bench.state?.name).toBe("open");
    bench.pass(1);
    expect(bench.state?.name).toBe("waiting");
    bench.pass(500);
    expect(bench.socket.url).toContain("since=5");
  });

  it("stays on a line on which something is heard", () => {
    bench.link.start(null);
    bench.socket.hear(hello("5"));
    bench.link.say("x", "n1");
    bench.pass(6000);
    bench.socket.hear(messages("1-7", "a"));
    bench.pass(600_000);
    expect(bench.state?.name).toBe("open");
    expect(bench.sockets.length).toBe(1);
  });

  it("ignores frames it does not know, and sockets it has left", () => {
    bench.link.start(null);
    const old = bench.socket;
    old.hear({ type: "novelty" });
    old.onmessage?.({ data: "{" });
    old.onmessage?.({ data: new Uint8Array(2) });
    expect(bench.frames).toEqual([]);
    bench.link.stop();
    expect([old.onmessage, old.onclose, old.closed]).toEqual([null, null, true]);
    expect(bench.link.say("x", "n")).toBe(false);
  });

  it("comes back at once with another token, or when told to hurry", () => {
    bench.link.start("bad");
    bench.socket.onclose?.({ code: 4001 });
    bench.link.authenticate("good");
    expect(bench.sockets.length).toBe(2);
    bench.socket.onclose?.({ code: 1006 });
    bench.link.hurry();
    expect(bench.sockets.length).toBe(3);
    expect(bench.link.say("x", "n1")).toBe(true);
    expect(bench.socket.sent).toEqual([{ type: "message", message: "x", nonce: "n1" }]);
  });
});
