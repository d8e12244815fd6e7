import { describe, expect, it } from "vitest";
import { errorSentence, waitWords } from "../src/chat/errors";
import { eventSentence } from "../src/chat/events";
import { readFrame } from "../src/chat/frames";
import type { Line } from "../src/chat/lines";
import {
  acknowledged,
  again,
  allFailed,
  echoed,
  failed,
  overdue,
  resent,
  sending,
  without,
} from "../src/chat/outbox";
import { KEPT_LINES, Timeline } from "../src/chat/timeline";
import { message, said } from "./chat_fixtures";

const keys = (timeline: Timeline) => timeline.shown.map((line) => line.key);
const texts = (timeline: Timeline) => timeline.shown.map(textOf);

function textOf(line: Line): string {
  return line.kind === "message" ? line.message.message : line.text;
}

describe("the timeline", () => {
  it("shows a message once", () => {
    const timeline = new Timeline();
    timeline.add([message("a"), message("b")]);
    expect(timeline.add([message("b"), message("c")]).map((one) => one.messageId)).toEqual(["c"]);
    timeline.flush();
    expect(keys(timeline)).toEqual(["a", "b", "c"]);
  });
  it("counts what waits, and keeps no more than it shows", () => {
    const timeline = new Timeline();
    timeline.add(Array.from({ length: 1000 }, (_, index) => message(`m${index}`)));
    expect(timeline.waiting).toBe(1000);
    expect(timeline.flush()).toBe(true);
    expect(timeline.shown.length).toBe(KEPT_LINES);
    expect(timeline.shown.at(-1)?.key).toBe("m999");
    expect([timeline.waiting, timeline.flush()]).toEqual([0, false]);
    expect([timeline.has("m999"), timeline.has("m0")]).toEqual([true, false]);
  });
  it("puts a quiet line where messages were removed, one for neighbours of an author", () => {
    const timeline = new Timeline();
    timeline.add([message("a", "bad"), message("b"), message("c", "bad")]);
    timeline.flush();
    timeline.add([message("d", "bad"), message("e", "bad")]);
    timeline.remove((one) => one.userId === "bad");
    timeline.flush();
    expect(texts(timeline)).toEqual([
      "A message of bad was removed",
      "b",
      "A message of bad was removed",
      "2 messages of bad were removed",
    ]);
    expect(timeline.of("bad")).toEqual([]);
    timeline.clear();
    timeline.notice("cleared");
    timeline.flush();
    expect(texts(timeline)).toEqual(["cleared"]);
  });
  it("puts older messages ahead, and knows where to ask for more", () => {
    const timeline = new Timeline();
    timeline.add([message("d"), message("e")], "5-1");
    timeline.flush();
    expect(timeline.oldestPosition).toBe("5-1");
    expect(timeline.prepend([message("b"), message("c"), message("d")], "3-0")).toBe(2);
    expect(keys(timeline)).toEqual(["b", "c", "d", "e"]);
    expect(timeline.oldestPosition).toBe("3-0");
    expect(timeline.prepend([message("c")], "4-0")).toBe(0);
  });
  it("fills a gap where it is, and says what is still missing", () => {
    const timeline = new Timeline();
    timeline.add([message("a")]);
    timeline.flush();
    const key = timeline.gap("fetching");
    timeline.add([message("d")]);
    timeline.fill(key, [message("a"), message("b"), message("c")], "");
    timeline.flush();
    expect(keys(timeline)).toEqual(["a", "b", "c", "d"]);
    timeline.fill(timeline.gap("fetching"), [], "gone");
    timeline.flush();
    expect(texts(timeline).at(-1)).toBe("gone");
  });
  it("knows what a user wrote", () => {
    const timeline = new Timeline();
    timeline.add([message("a", "u"), message("b", "v"), message("c", "u")]);
    expect(timeline.of("u").map((one) => one.messageId)).toEqual(["a", "c"]);
  });
});

describe("the outbox", () => {
  const one = sending([], "n1", "hello", 0);
  it("keeps what is durable until everybody was told, by its id", () => {
    const durable = acknowledged(one, "n1", "id", false, 5);
    expect(durable).toMatchObject([{ state: "sent", messageId: "id" }]);
    expect(echoed(durable, "me", [message("other", "me", "hello")])).toEqual(durable);
    expect(echoed(durable, "me", [message("id", "me", "hello")])).toEqual([]);
    expect(overdue(durable, 20_000)).toEqual([]);
  });
  it("keeps what a moderator looks at", () => {
    expect(overdue(acknowledged(one, "n1", "id", true, 5), 90_000)).toMatchObject([{ state: "held" }]);
  });
  it("forgets our own message when it comes back first, one at a time", () => {
    const two = sending(one, "n2", "hello", 0);
    expect(echoed(two, "me", [message("x", "me", "hello"), message("y", "other", "hello")])).toHaveLength(1);
  });
  it("says why something was not sent", () => {
    expect(failed(one, "n1", "because")).toMatchObject([{ state: "failed", reason: "because" }]);
    expect(allFailed(one, "gone")).toMatchObject([{ state: "failed", reason: "gone" }]);
    expect(without(one, "n1")).toEqual([]);
    expect(again(failed(one, "n1", "because"), "n1", 7)).toMatchObject([
      { nonce: "n1", state: "sending", reason: "", sentAt: 7 },
    ]);
  });
  it("waits for an answer, but not for ever, and anew once it was sent again", () => {
    expect(overdue(one, 9000)).toBe(one);
    expect(overdue(one, 10_001)).toMatchObject([{ state: "failed" }]);
    expect(overdue(resent(one, 9000), 10_001)).toMatchObject([{ state: "sending", nonce: "n1" }]);
  });
  it("is bounded", () => {
    let outbox = one;
    for (let index = 0; index < 50; index++) outbox = sending(outbox, `x${index}`, "t", 0);
    expect(outbox.length).toBe(20);
  });
});

describe("frames", () => {
  const read = (value: unknown) => readFrame(JSON.stringify(value));
  it("are read without trust", () => {
    expect(
      read({
        type: "messages",
        position: 7,
        messages: [{ message_id: "a", badges: ["mod", 3], emotes: [{ name: "x", start: 2, end: 1 }] }, {}],
      }),
    ).toEqual({ type: "messages", position: "7", messages: [said({ messageId: "a", badges: ["mod"] })] });
    expect(["", "[]", "7", '{"type":4}'].map(readFrame)).toEqual([null, null, null, null]);
  });
  it("tell who we are and how the room is", () => {
    const user = { user_id: "u", username: "Mira", badges: ["moderator"], moderator: true };
    expect(read({ type: "hello", position: "1", user, modes: { slow: 5 } })).toMatchObject({
      user: { userId: "u", username: "Mira", badges: ["moderator"], moderator: true },
      modes: { slow: 5, followers: -1 },
    });
    expect(read({ type: "hello", position: "1", user: null })).toMatchObject({ user: null });
  });
  it("carry replies and emotes", () => {
    const sent = {
      message_id: "b",
      reply_to: "a",
      parent: { user_id: "u", username: "U", text: "first" },
      emotes: [{ name: "gg", start: 0, end: 2 }],
    };
    expect(read({ type: "messages", position: "1", messages: [sent] })).toMatchObject({
      messages: [{ replyTo: "a", parent: { username: "U", text: "first" }, emotes: [{ name: "gg" }] }],
    });
  });
  it("carry moderation", () => {
    expect(read({ type: "event", event: "delete", message_id: "a", message_ids: ["b", 1] })).toMatchObject({
      event: "delete",
      messageIds: ["a", "b"],
    });
    expect(read({ type: "error", code: "rate_limited", retry_after: 2.5 })).toMatchObject({
      retryAfterS: 2.5,
    });
    expect(read({ type: "gap", after: "1-0", before: "3-0" })).toEqual({
      type: "gap",
      after: "1-0",
      before: "3-0",
    });
    expect(read({ type: "ack", nonce: "n", message_id: "m", held: true })).toMatchObject({ held: true });
  });
});

it("events have a sentence where the room reads about them", () => {
  const sentence = (fields: object) => {
    const frame = readFrame(JSON.stringify({ type: "event", ...fields }));
    return frame?.type === "event" ? eventSentence(frame) : "no event";
  };
  expect(sentence({ event: "follow", username: "Mira" })).toBe("Mira follows the channel.");
  expect(sentence({ event: "subscription", username: "Mira", tier: 2, months: 7 })).toBe(
    "Mira subscribed at tier 2, for 7 months now.",
  );
  expect(sentence({ event: "subscription", username: "Mira", tier: 1, months: 1 })).toBe("Mira subscribed.");
  expect(sentence({ event: "gift", username: "Mira", giver: "noah", tier: 3, months: 1 })).toBe(
    "noah gave Mira a subscription at tier 3.",
  );
  expect(sentence({ event: "raid", from: "noah", viewers: 1 })).toBe("noah came over with 1 viewer.");
  expect(sentence({ event: "raid", target: "noah", viewers: 1 })).toBe("");
  expect(sentence({ event: "stream", state: "ended" })).toBe("The broadcast has ended.");
  expect(sentence({ event: "mode" })).toBe("");
});

it("every error has a sentence", () => {
  const codes = [
    "too_long", "empty", "not_authenticated", "banned", "rate_limited", "unknown_room", "unavailable", "timed_out",
    "muted", "subscribers_only", "followers_only", "slow_mode", "emote_only", "not_unique", "blocked_term",
    "links_not_allowed", "spam", "room_busy", "not_allowed", "unknown_user", "unknown_message",
  ]; // biome-ignore format: a list of words
  for (const code of codes) expect(errorSentence(code, "")).toMatch(/^[A-Z].*\.$/);
  expect(errorSentence("novel", "what the server says")).toBe("What the server says.");
  expect(errorSentence("novel", "")).toBe("The chat refused that.");
  expect(errorSentence("not_unique", "", 61)).toContain("Try again in 1 minute 1 second.");
  expect([waitWords("slow_mode") === "", waitWords("emote_only")]).toEqual([false, ""]);
});
