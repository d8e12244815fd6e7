import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Answer, Page } from "../src/chat/api";
import { ChatList } from "../src/chat/list";
import { type Past, readBetween } from "../src/chat/past";
import { message } from "./chat_fixtures";

const AWAY = { ok: false, problem: { code: "unreachable", detail: "", retryAfterS: 0 } } as const;

/** A log of messages "m0", "m1", ... at positions of the same number; it keeps those from `kept` on. */
class Log implements Past {
  readonly asked: Readonly<Record<string, string>>[] = [];
  away = false;

  constructor(
    private readonly count: number,
    private readonly kept = 0,
  ) {}

  async history(query: Readonly<Record<string, string>>): Promise<Answer<Page>> {
    this.asked.push(query);
    if (this.away) return AWAY;
    const limit = Number(query.limit);
    const before = Number(query.before ?? this.count);
    const after = query.after === undefined ? null : Number(query.after);
    const from = Math.max(this.kept, after === null ? before - limit : after + 1);
    const places = Array.from({ length: Math.max(0, before - from) }, (_, index) => from + index);
    const found = after === null ? places : places.slice(0, limit);
    return {
      ok: true,
      value: {
        messages: found.map((place) => message(`m${place}`)),
        position: `${found.at(-1) ?? after ?? before}`,
        before: `${found[0] ?? before}`,
      },
    };
  }
}

const ids = (list: ChatList) => list.lines.value.map((line) => line.key);

describe("what is between two positions", () => {
  it("is read in pages to its end", async () => {
    const log = new Log(1000);
    const found = await readBetween(log, "9", "160");
    expect([found.messages.length, found.whole, log.asked.length]).toEqual([150, true, 2]);
    expect([found.messages[0]?.messageId, found.messages.at(-1)?.messageId]).toEqual(["m10", "m159"]);
  });
  it("is read so far and no further, which is said", async () => {
    const log = new Log(5000);
    const found = await readBetween(log, "0", "4000");
    expect([found.messages.length, found.whole, found.reached, log.asked.length]).toEqual([
      500,
      false,
      true,
      5,
    ]);
  });
  it("may not be kept, or not be had", async () => {
    expect(await readBetween(new Log(100, 60), "10", "50")).toEqual({
      messages: [],
      whole: false,
      reached: true,
    });
    const log = new Log(100);
    log.away = true;
    expect(await readBetween(log, "10", "50")).toMatchObject({ whole: false, reached: false });
  });
});

describe("older messages", () => {
  beforeAll(() => {
    vi.stubGlobal("requestAnimationFrame", () => 1);
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });
  /** A list that was told the messages from `first` on in one frame, as on joining. */
  const joined = (log: Log, first: number, last: number) => {
    const list = new ChatList(log);
    const told = Array.from({ length: last - first + 1 }, (_, index) => message(`m${first + index}`));
    list.add(told, `${last}`);
    list.follow(false);
    list.follow(true);
    return list;
  };
  it("are put ahead, from the first place that is known, until there are none", async () => {
    const log = new Log(300);
    const list = joined(log, 250, 299);
    await list.loadOlder();
    expect([ids(list)[0], ids(list).length, log.asked.at(-1)?.before]).toEqual(["m199", 101, "299"]);
    await list.loadOlder();
    await list.loadOlder();
    expect([ids(list)[0], ids(list).length, list.older.value]).toEqual(["m0", 300, "idle"]);
    await list.loadOlder();
    expect(list.older.value).toBe("ready");
    const asked = log.asked.length;
    await list.loadOlder();
    expect(log.asked.length).toBe(asked);
  });
  it("are asked for again where a page holds only what is here", async () => {
    const log = new Log(500);
    const list = joined(log, 260, 499);
    await list.loadOlder();
    expect([ids(list)[0], log.asked.length]).toEqual(["m199", 3]);
  });
  it("may be tried again when the server did not answer", async () => {
    const log = new Log(300);
    const list = joined(log, 250, 299);
    log.away = true;
    await list.loadOlder();
    expect([list.older.value, ids(list).length]).toEqual(["failed", 50]);
    log.away = false;
    await list.loadOlder();
    expect(list.older.value).toBe("idle");
  });
});
