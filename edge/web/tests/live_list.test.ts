import { describe, expect, it } from "vitest";
import { EMPTY_LIST, reduceLiveList } from "../src/api/live_list";
import { type ChannelNews, statusPauseMs, statusTimeoutMs } from "../src/api/status_feed";
import { type LiveChannel, readChannels, readStatus } from "../src/api/types";

function channel(name: string, viewers: number): LiveChannel {
  return {
    channel: name,
    title: "",
    category: "",
    streamId: name,
    state: "live",
    startedAt: 0,
    viewers,
    width: 0,
    height: 0,
    thumbnail: "",
  };
}

const names = (list: { channels: readonly LiveChannel[] }) => list.channels.map((one) => one.channel);

describe("the live list", () => {
  const told = (at: number, ...channels: LiveChannel[]) => ({ type: "channels", channels, at }) as const;

  it("begins with the most watched", () => {
    const list = reduceLiveList(EMPTY_LIST, told(1, channel("a", 1), channel("b", 9)));
    expect(names(list)).toEqual(["b", "a"]);
    expect(list).toMatchObject({ phase: "ready", updatedAt: 1, stale: false });
  });
  it("keeps cards in their places while viewers change, and puts new ones behind", () => {
    const first = reduceLiveList(EMPTY_LIST, told(1, channel("a", 5), channel("b", 4)));
    const next = reduceLiveList(first, told(2, channel("c", 99), channel("b", 50), channel("a", 1)));
    expect(names(next)).toEqual(["a", "b", "c"]);
  });
  it("shows what it last heard when the feed is lost, and heals", () => {
    const first = reduceLiveList(EMPTY_LIST, told(1, channel("a", 5)));
    const lost = reduceLiveList(first, { type: "lost" });
    expect(lost).toMatchObject({ phase: "ready", stale: true, updatedAt: 1 });
    expect(reduceLiveList(lost, told(3)).stale).toBe(false);
  });
  it("has failed when it never heard anything", () => {
    expect(reduceLiveList(EMPTY_LIST, { type: "lost" }).phase).toBe("failed");
  });
});

describe("documents", () => {
  it("are read field by field", () => {
    const read = readChannels({ channels: [{ channel: "a", viewers: "many", state: "odd" }, 7, {}] });
    expect(read).toMatchObject([{ channel: "a", viewers: 0, state: "offline", startedAt: null }]);
  });
  it("that are not ours are refused", () => {
    expect([null, [], {}, { channels: 1 }].map(readChannels)).toEqual([null, null, null, null]);
    expect(readStatus("x")).toBeNull();
    expect(readStatus({ channel: "a", picture: false, sound: true })).toMatchObject({
      hasPicture: false,
      hasSound: true,
    });
  });
  it("tell an offline channel without a stream", () => {
    expect(readStatus({ channel: "a", state: "offline", stream_id: null })).toMatchObject({
      state: "offline",
      streamId: null,
      partTargetS: null,
    });
  });
});

it("questions about a channel come more often while it is about to change, most while the picture waits", () => {
  const status = readStatus({ channel: "a", state: "live" });
  const known = { phase: "known", status, unreachable: false, heardAt: 0 } as const;
  const unknown = { phase: "unknown", status: null, unreachable: false, heardAt: 0 } as const;
  const pause = (news: ChannelNews, urgent = false) => statusPauseMs(news, urgent, () => 0.5);
  expect([pause(known), pause({ ...known, unreachable: true }), pause(unknown)]).toEqual([
    3000, 1500, 15_000,
  ]);
  expect([pause(known, true), pause(unknown, true)]).toEqual([400, 15_000]);
  expect([0, 1, 2, 3].map((failed) => statusTimeoutMs(true, failed))).toEqual([1000, 1000, 3000, 1000]);
  expect(statusTimeoutMs(false, 2)).toBe(8000);
});
