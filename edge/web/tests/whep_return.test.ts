import { describe, expect, it } from "vitest";
import { TryTimes } from "../src/player/whep_return";

describe("the way back to WebRTC", () => {
  it("is tried ever more rarely, and never given up", () => {
    const times = new TryTimes(() => 1);
    const waits = Array.from({ length: 8 }, () => times.next(0));
    expect(waits).toEqual([6000, 12_000, 24_000, 48_000, 96_000, 192_000, 300_000, 300_000]);
  });
  it("is tried soon again when WebRTC had lasted, and later when it broke at once", () => {
    const times = new TryTimes(() => 1);
    times.next(0);
    times.returned(10_000);
    expect(times.next(15_000)).toBe(12_000);
    times.returned(30_000);
    expect(times.next(90_000)).toBe(6000);
  });
});
