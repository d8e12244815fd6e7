import { describe, expect, it } from "vitest";
import { type HealthReport, readHealth } from "../src/api/health";
import { addReport, axisEnd, EMPTY_HISTORY, HISTORY_MS } from "../src/api/health_history";
import { EventReader } from "../src/lib/sse";
import { codecName, figuresOf } from "../src/views/studio/figures";

const DOCUMENT = {
  channel: "alice",
  state: "live",
  started_at: 5,
  viewers: 2,
  encoder: "OBS",
  ladder: ["source", "720p", 3],
  problems: [],
  report: {
    at_ms: 10_000,
    since_ms: 1000,
    video: {
      codec: "avc1.64001f",
      profile: "High",
      width: 1280,
      height: 720,
      frame_rate: 29.97,
      expected_frame_rate: 29.97,
      bit_rate_1s: 3_000_000,
      bit_rate_10s: 2_900_000,
      gop_s: 2,
    },
    audio: { codec: "mp4a.40.2", sample_rate: 48_000, channels: 2, bit_rate: 160_000 },
    stalls: 0,
    stalls_total: 0,
    jitter_ms: 3.4,
    advice: [
      { code: "a", severity: "error", text: "Bad.", setting: "Profile: set high" },
      { code: "b", severity: "new", text: "Odd." },
      { code: "c" },
    ],
  },
};

function report(changes: Partial<HealthReport> = {}): HealthReport {
  const read = readHealth(DOCUMENT)?.report;
  if (read === null || read === undefined) throw new Error("no report");
  return { ...read, ...changes };
}

describe("a health document", () => {
  it("is read with what is wrong in it left out", () => {
    const health = readHealth(DOCUMENT);
    expect(health?.state).toBe("live");
    expect(health?.ladder).toEqual(["source", "720p"]);
    expect(health?.report?.advice.map((one) => [one.code, one.severity])).toEqual([
      ["a", "error"],
      ["b", "notice"],
    ]);
  });
  it("tells of the encoders that are connected", () => {
    const session = {
      session_id: "s1",
      slot: "standby",
      broadcast_id: "",
      kind: "rtmp",
      address: "192.0.2.7",
      encoder: "OBS",
      bit_rate: 6_000_000,
      rtt_ms: 12.4,
      events: [{ at_ms: 1000, code: "connected", text: "OBS connected" }, 7],
    };
    const health = readHealth({ ...DOCUMENT, sessions: [session, { slot: "primary" }, null] });
    expect(health?.sessions).toEqual([
      {
        id: "s1",
        standby: true,
        onAir: false,
        kind: "rtmp",
        address: "192.0.2.7",
        encoder: "OBS",
        bitRate: 6_000_000,
        roundTripMs: 12.4,
        events: [{ at: 1000, text: "OBS connected" }],
      },
    ]);
    expect(readHealth(DOCUMENT)?.sessions).toEqual([]);
  });
  it("may have no report, and is nothing without a channel", () => {
    expect(readHealth({ channel: "x", report: null })?.report).toBeNull();
    expect(readHealth([])).toBeNull();
    expect(readHealth({ state: "live" })).toBeNull();
  });
});

describe("figures", () => {
  it("say what arrives", () => {
    const figures = new Map(figuresOf(report()).map((one) => [one.name, `${one.value} | ${one.detail}`]));
    expect(figures.get("Picture")).toBe("1280×720 | H.264 High");
    expect(figures.get("Frame rate")).toBe("30 | pictures a second");
    expect(figures.get("Bit rate")).toBe("3.0 Mbit/s | 2.9 Mbit/s in 10 s");
    expect(figures.get("Key frames")).toBe("every 2 s | no B-frames");
    expect(figures.get("Sound")).toBe("AAC | 48 kHz, stereo, 160 kbit/s");
    expect(figures.get("Upload")).toBe("steady | 3 ms jitter");
  });
  it("say what is wrong", () => {
    const video = report().video;
    if (video === null) throw new Error("no video");
    const bad = report({ video: { ...video, frameRate: 12 }, stalls: 2, longestStallMs: 1240 });
    const figures = new Map(figuresOf(bad).map((one) => [one.name, `${one.value} | ${one.detail}`]));
    expect(figures.get("Frame rate")).toBe("12 | of 30 a second");
    expect(figures.get("Upload")).toBe("2 pauses | in the last minute, up to 1.2 s");
  });
  it("name codecs", () => {
    expect(["hvc1.1.6.L93.B0", "av01.0", "Opus", "odd"].map(codecName)).toEqual([
      "HEVC",
      "AV1",
      "Opus",
      "odd",
    ]);
  });
});

describe("the history", () => {
  it("keeps two minutes, each report once, and where the upload paused", () => {
    let history = addReport(EMPTY_HISTORY, report({ at: 500, video: null, audio: null }));
    expect(history).toBe(EMPTY_HISTORY);
    history = addReport(history, report({ at: 1000, stallsTotal: 3 }));
    history = addReport(history, report({ at: 1000, stallsTotal: 3 }));
    history = addReport(history, report({ at: 3000, stallsTotal: 4 }));
    expect(history.points.map((point) => [point.at, point.stalled])).toEqual([
      [1000, false],
      [3000, true],
    ]);
    history = addReport(history, report({ at: 1000 + HISTORY_MS, stallsTotal: 4 }));
    expect(history.points.map((point) => point.at)).toEqual([3000, 1000 + HISTORY_MS]);
  });
  it("has a round axis", () => {
    const points = (bitRate: number) => [{ at: 0, bitRate, stalled: false }];
    expect([0, 900_000, 3_000_000, 7_000_000, 12_000_000].map((rate) => axisEnd(points(rate)))).toEqual([
      1_500_000, 1_500_000, 4_000_000, 8_000_000, 16_000_000,
    ]);
  });
});

describe("server-sent events", () => {
  it("are read however they are cut", () => {
    const whole = 'event: health\r\ndata: {"a":1}\r\n\r\n: still here\n\ndata: x\ndata: y\n\n';
    for (const size of [1, 2, 3, 5, 100]) {
      const reader = new EventReader();
      const found = [];
      for (let at = 0; at < whole.length; at += size) found.push(...reader.push(whole.slice(at, at + size)));
      expect(found).toEqual([
        { event: "health", data: '{"a":1}' },
        { event: "message", data: "x\ny" },
      ]);
    }
  });
});
