import { describe, expect, it } from "vitest";
import {
  formatBitrate,
  formatCount,
  formatDuration,
  formatLatency,
  formatViewers,
  sayDuration,
} from "../src/lib/format";

describe("counts", () => {
  it("are short from a thousand", () => {
    expect([0, 950, 12_400, 3_000_000].map(formatCount)).toEqual(["0", "950", "12.4K", "3M"]);
  });
  it("know one viewer from many", () => {
    expect([formatViewers(1), formatViewers(2), formatViewers(0)]).toEqual([
      "1 viewer",
      "2 viewers",
      "0 viewers",
    ]);
  });
});

describe("durations", () => {
  it("have hours only when there are any", () => {
    expect([5, 65, 3725, -3].map(formatDuration)).toEqual(["0:05", "1:05", "1:02:05", "0:00"]);
  });
  it("can be said", () => {
    expect([20, 60, 3600, 3720].map(sayDuration)).toEqual([
      "less than a minute",
      "1 minute",
      "1 hour",
      "1 hour 2 minutes",
    ]);
  });
});

describe("latency", () => {
  it("has tenths while they matter", () => {
    expect([1.43, 9.96, 42.4, 75].map(formatLatency)).toEqual([
      "1.4 s behind live",
      "10 s behind live",
      "42 s behind live",
      "1:15 behind live",
    ]);
  });
  it("is live when nothing is known", () => {
    expect([0, Number.NaN].map(formatLatency)).toEqual(["Live", "Live"]);
  });
});

it("bitrates have a unit", () => {
  expect([5_800_000, 96_000, 0].map(formatBitrate)).toEqual(["5.8 Mbit/s", "96 kbit/s", "unknown"]);
});
