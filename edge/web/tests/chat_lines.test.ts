import { describe, expect, it } from "vitest";
import { errorSentence } from "../src/chat/close_codes";
import { type ChatMessage, readFrame } from "../src/chat/frames";
import { allFailed, answered, echoed, failed, overdue, sending } from "../src/chat/outbox";
import { KEPT_LINES, Timeline } from "../src/chat/timeline";

function message(messageId: string, userId = "u", text = messageId): ChatMessage {
  return { messageId, timestamp: 1, userId, username: userId, message: text, badges: [] };
}

const keys = (timeline: Timeline) => timeline.shown.map((line) => line.key);

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
  it("takes away what moderation removed", () => {
    const timeline = new Timeline();
    timeline.add([message("a", "bad"), message("b"), message("c", "bad")]);
    timeline.flush();
    timeline.add([message("d", "bad")]);
    timeline.remove((one) => one.userId === "bad");
    timeline.flush();
    expect(keys(timeline)).toEqual(["b"]);
    timeline.notice("cleared");
    timeline.remove(null);
    timeline.flush();
    expect(timeline.shown.map((line) => line.kind)).toEqual(["notice"]);
  });
});

describe("the outbox", () => {
  const one = sending([], "n1", "hello", 0);
  it("forgets what was acknowledged", () => {
    expect(answered(one, "n1")).toEqual([]);
  });
  it("forgets our own message when it comes back first, one at a time", () => {
    const two = sending(one, "n2", "hello", 0);
    expect(echoed(two, "me", [message("x", "me", "hello"), message("y", "other", "hello")])).toHaveLength(1);
  });
  it("says why something was not sent", () => {
    expect(failed(one, "n1", "because")).toMatchObject([{ state: "failed", reason: "because" }]);
    expect(allFailed(one, "gone")).toMatchObject([{ state: "failed", reason: "gone" }]);
  });
  it("waits for an answer, but not for ever", () => {
    expect(overdue(one, 9000)).toBe(one);
    expect(overdue(one, 10_001)).toMatchObject([{ state: "failed" }]);
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
      read({ type: "messages", position: 7, messages: [{ message_id: "a", badges: ["mod", 3] }, {}] }),
    ).toEqual({
      type: "messages",
      position: "7",
      messages: [{ messageId: "a", timestamp: 0, userId: "", username: "", message: "", badges: ["mod"] }],
    });
    expect(["", "[]", "7", '{"type":4}'].map(readFrame)).toEqual([null, null, null, null]);
  });
  it("tell who we are", () => {
    expect(read({ type: "hello", position: "1", user: { user_id: "u", username: "Mira" } })).toMatchObject({
      user: { userId: "u", username: "Mira" },
    });
    expect(read({ type: "hello", position: "1", user: null })).toMatchObject({ user: null });
  });
  it("carry moderation", () => {
    expect(read({ type: "event", event: "delete", message_id: "a", message_ids: ["b", 1] })).toMatchObject({
      event: "delete",
      messageIds: ["a", "b"],
    });
    expect(read({ type: "error", code: "rate_limited", retry_after: 2.5 })).toMatchObject({
      retryAfterS: 2.5,
    });
  });
});

it("every error has a sentence", () => {
  const codes = [
    "too_long",
    "empty",
    "not_authenticated",
    "banned",
    "rate_limited",
    "unknown_room",
    "unavailable",
  ];
  for (const code of codes) expect(errorSentence(code, "")).toMatch(/^[A-Z].*\.$/);
  expect(errorSentence("novel", "What the server says.")).toBe("What the server says.");
});
