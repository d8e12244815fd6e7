import { describe, expect, it } from "vitest";
import { Calm } from "../src/player/calm";

describe("how long a stall is remembered", () => {
  it("knows of none at the beginning", () => {
    expect(new Calm().returned(1000)).toBe(false);
  });

  it("forgets one after ten quiet seconds, once", () => {
    const calm = new Calm();
    calm.stalled(5);
    expect(calm.returned(14.9)).toBe(false);
    expect(calm.returned(15)).toBe(true);
    expect(calm.returned(16)).toBe(false);
  });

  it("forgets one at the beginning sooner, and the next as if it were any", () => {
    const calm = new Calm(100);
    calm.stalled(104.5);
    expect(calm.returned(107.4)).toBe(false);
    expect(calm.returned(107.5)).toBe(true);
    calm.stalled(109);
    expect(calm.returned(114.9)).toBe(false);
    expect(calm.returned(115)).toBe(true);
    calm.stalled(130);
    expect(calm.returned(139.9)).toBe(false);
    expect(calm.returned(140)).toBe(true);
  });

  it("counts from the last of several", () => {
    const calm = new Calm();
    for (const at of [5, 6, 9]) calm.stalled(at);
    expect(calm.returned(18)).toBe(false);
    expect(calm.returned(19)).toBe(true);
  });

  it("takes twice as long when the next follows soon, and starts over after a quiet time", () => {
    const calm = new Calm();
    calm.stalled(0);
    expect(calm.returned(10)).toBe(true);
    calm.stalled(12);
    expect(calm.returned(31)).toBe(false);
    expect(calm.returned(32)).toBe(true);
    calm.stalled(53);
    expect(calm.returned(63)).toBe(true);
  });

  it("never takes longer than five minutes", () => {
    const calm = new Calm();
    let now = 0;
    for (let index = 0; index < 20; index++) {
      calm.stalled(now);
      now += 300;
      expect(calm.returned(now)).toBe(true);
    }
  });
});
