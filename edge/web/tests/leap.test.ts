import { describe, expect, it } from "vitest";
import { EXCESS_S, Leap } from "../src/player/leap";

describe("a leap to live", () => {
  it("is due three seconds behind the place", () => {
    const leap = new Leap();
    expect(leap.due(0, EXCESS_S)).toBe(false);
    expect(leap.due(1, EXCESS_S + 0.1)).toBe(true);
  });

  it("comes later each time that the last one was of no use", () => {
    const leap = new Leap();
    const times: number[] = [];
    for (let now = 0, behind = 0; now < 120; now++, behind++)
      if (leap.due(now, behind)) {
        times.push(now);
        behind = 0;
      }
    expect(times.map((at, index) => at - (times[index - 1] ?? 0))).toEqual([4, 4, 7, 13, 25, 25, 25]);
  });

  it("is due at three seconds again once one was of use", () => {
    const leap = new Leap();
    leap.due(0, 4);
    expect(leap.due(5, 4), "six are borne").toBe(true);
    expect(leap.due(30, 4)).toBe(false);
    expect(leap.due(60, 7)).toBe(true);
    expect(leap.due(100, 4)).toBe(true);
  });

  it("is due sooner behind a hole, where the picture stood still anyway", () => {
    const leap = new Leap();
    leap.over(10);
    expect(leap.due(10.3, 0.9)).toBe(false);
    expect(leap.due(10.6, 1.2)).toBe(true);
    leap.over(40);
    expect(leap.due(43, 2.5)).toBe(false);
  });

  it("is not due sooner while leaps do not help", () => {
    const leap = new Leap();
    leap.due(0, 4);
    leap.due(5, 4);
    leap.over(8);
    expect(leap.due(8.3, 2.5)).toBe(false);
  });
});
