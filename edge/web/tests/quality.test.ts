import { describe, expect, it } from "vitest";
import { Journal } from "../src/player/journal";
import type { Beacon, Reading } from "../src/quality/beacon";
import { Pace } from "../src/quality/pace";
import { Reporter } from "../src/quality/reporter";
import { newViewId } from "../src/quality/view_id";

const READING: Reading = {
  streamId: "0190a6f2-0000-7000-8000-000000000000",
  player: "hls.js 1.7.4",
  state: "playing",
  latencyS: 1.3,
  bitrate: 2_400_000,
  height: 720,
  droppedFrames: 0,
};

class Bench {
  now = 0;
  reading: Reading | null = READING;
  status = 204;
  readonly sent: Beacon[] = [];
  readonly left: Beacon[] = [];
  readonly journal = new Journal();
  readonly reporter = new Reporter({
    session: "a".repeat(22),
    channel: "ada",
    journal: this.journal,
    read: () => this.reading,
    clock: () => this.now,
    post: (beacon) => {
      this.sent.push(beacon);
      return Promise.resolve(this.status);
    },
    postLeaving: (beacon) => this.left.push(beacon),
  });

  /** Lets time go by in the reporter's steps. */
  async pass(seconds: number): Promise<void> {
    for (let count = 0; count < seconds; count++) {
      this.now += 1000;
      this.reporter.tick();
      await Promise.resolve();
      await Promise.resolve();
    }
  }
}

describe("the name of a page view", () => {
  it("is 128 bits in base64url, never the same", () => {
    expect(newViewId((bytes) => bytes.fill(255))).toBe("_____________________w");
    const [one, two] = [newViewId(), newViewId()];
    expect(one).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(one).not.toBe(two);
  });
});

describe("beacons", () => {
  it("have exactly the agreed fields", async () => {
    const bench = new Bench();
    await bench.pass(1);
    expect(bench.sent).toEqual([
      {
        v: 1,
        session: "a".repeat(22),
        stream_id: READING.streamId,
        channel: "ada",
        player: "hls.js 1.7.4",
        seq: 0,
        state: "playing",
        interval_ms: 1000,
        startup_ms: null,
        stalls: 0,
        stall_ms: 0,
        latency_ms: 1300,
        bitrate: 2_400_000,
        height: 720,
        switches: 0,
        dropped_frames: 0,
        errors: [],
        leaving: false,
      },
    ]);
  });
  it("come every ten seconds, each with what happened since the one before", async () => {
    const bench = new Bench();
    await bench.pass(1);
    bench.journal.stallBegan(1500);
    bench.journal.stallEnded(2200);
    bench.journal.switched();
    bench.reading = { ...READING, droppedFrames: 7 };
    await bench.pass(20);
    const figures = bench.sent.map((one) => [
      one.seq,
      one.interval_ms,
      one.stalls,
      one.stall_ms,
      one.switches,
    ]);
    expect(figures).toEqual([
      [0, 1000, 0, 0, 0],
      [1, 10_000, 1, 700, 1],
      [2, 10_000, 0, 0, 0],
    ]);
    expect(bench.sent.map((one) => one.dropped_frames)).toEqual([0, 7, 0]);
  });
  it("share a stall that goes on among the intervals it lasts", async () => {
    const bench = new Bench();
    await bench.pass(1);
    bench.journal.stallBegan(6000);
    await bench.pass(20);
    expect(bench.sent.map((one) => [one.stalls, one.stall_ms])).toEqual([
      [0, 0],
      [1, 5000],
      [0, 10_000],
    ]);
  });
  it("tell the start at once, and once", async () => {
    const bench = new Bench();
    bench.reading = { ...READING, state: "starting" };
    bench.journal.asked(0);
    await bench.pass(1);
    bench.journal.showed(1400);
    bench.reading = READING;
    await bench.pass(12);
    expect(bench.sent.map((one) => [one.state, one.startup_ms])).toEqual([
      ["starting", null],
      ["playing", 1400],
      ["playing", null],
    ]);
    bench.journal.asked(20_000);
    bench.journal.showed(20_500);
    await bench.pass(1);
    expect(bench.sent.at(-1)?.startup_ms).toBe(500);
  });
  it("tell troubles soon, eight at most, in a hundred characters", async () => {
    const bench = new Bench();
    await bench.pass(5);
    for (let count = 0; count < 20; count++) bench.journal.trouble("network", "\u{1F4A5}".repeat(200));
    await bench.pass(1);
    expect(bench.sent).toHaveLength(2);
    expect(bench.sent[1]?.errors).toHaveLength(8);
    expect([...(bench.sent[1]?.errors[0]?.detail ?? "")]).toHaveLength(100);
  });
  it("come once while paused, and again when the picture moves", async () => {
    const bench = new Bench();
    await bench.pass(1);
    bench.reading = { ...READING, state: "paused" };
    await bench.pass(60);
    expect(bench.sent.map((one) => one.state)).toEqual(["playing", "paused"]);
    bench.reading = READING;
    await bench.pass(1);
    expect(bench.sent).toHaveLength(3);
  });
  it("end with the one of leaving, which needs no answer", async () => {
    const bench = new Bench();
    bench.reporter.left();
    expect(bench.left).toEqual([]);
    await bench.pass(1);
    bench.reporter.left();
    expect(bench.left).toMatchObject([{ seq: 1, leaving: true }]);
  });
  it("are none without a broadcast, and none for a server that takes none", async () => {
    const bench = new Bench();
    bench.reading = null;
    await bench.pass(30);
    expect(bench.sent).toEqual([]);
    bench.reading = READING;
    bench.status = 404;
    await bench.pass(60);
    expect(bench.sent).toHaveLength(1);
    bench.reporter.left();
    expect(bench.left).toEqual([]);
  });
});

describe("their pace", () => {
  it("halves for a busy server down to a minute, until it is well again", () => {
    const pace = new Pace();
    const heard = [503, 429, 503, 503].map((status) => {
      pace.answered(status);
      return pace.intervalMs;
    });
    expect(heard).toEqual([20_000, 40_000, 60_000, 60_000]);
    pace.answered(0);
    expect(pace.intervalMs).toBe(60_000);
    pace.answered(204);
    expect(pace.intervalMs).toBe(10_000);
    pace.answered(405);
    expect(pace.stopped).toBe(true);
  });
});
