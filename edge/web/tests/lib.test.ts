import { describe, expect, it } from "vitest";
import { backoffMs } from "../src/lib/backoff";
import { hueOf, series } from "../src/lib/hash";
import { RecentIds } from "../src/lib/recent";
import { routeOf } from "../src/lib/router";

describe("backoff", () => {
  const options = { firstMs: 500, limitMs: 15_000 };
  it("doubles up to its limit", () => {
    const full = [0, 1, 2, 10, 1000].map((attempt) => backoffMs(attempt, options, () => 1));
    expect(full).toEqual([500, 1000, 2000, 15_000, 15_000]);
  });
  it("never waits less than half", () => {
    expect(backoffMs(3, options, () => 0)).toBe(2000);
  });
});

describe("recent ids", () => {
  it("are taken once, until newer ones have pushed them out", () => {
    const ids = new RecentIds(2);
    expect(["a", "a", "b", "a", "c", "a"].map((id) => ids.add(id))).toEqual([
      true,
      false,
      true,
      false,
      true,
      true,
    ]);
  });
});

describe("routes", () => {
  it("are home, studio and channels", () => {
    expect(routeOf("/")).toEqual({ view: "home" });
    expect(routeOf("/studio")).toEqual({ view: "studio" });
    expect(routeOf("/Main/")).toEqual({ view: "watch", channel: "main" });
  });
  it("refuse what no channel can be called", () => {
    expect(routeOf("/-x")).toEqual({ view: "missing" });
    expect(routeOf("/a/b")).toEqual({ view: "missing" });
    expect(routeOf(`/${"a".repeat(32)}`)).toEqual({ view: "missing" });
  });
});

describe("names", () => {
  it("always get the same colour and shapes", () => {
    expect(hueOf("main")).toBe(hueOf("main"));
    const [one, two] = [series(7), series(7)];
    expect([one(), one()]).toEqual([two(), two()]);
  });
  it("get shapes within bounds", () => {
    const random = series(0);
    for (let count = 0; count < 100; count++) {
      const value = random();
      expect(value >= 0 && value < 1).toBe(true);
    }
  });
});
