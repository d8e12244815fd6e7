import { describe, expect, it } from "vitest";
import { TracksWatch } from "../src/player/tracks";

const NOTHING_YET = { hasPicture: false, hasSound: false };
const BOTH = { hasPicture: true, hasSound: true };
const SOUND = { hasPicture: false, hasSound: true };

describe("the tracks of a broadcast", () => {
  it("are no news while they are found out", () => {
    const watch = new TracksWatch();
    expect([NOTHING_YET, BOTH, BOTH, NOTHING_YET, BOTH].map((now) => watch.changed(now))).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  it("are news once when the picture goes, and when it is back", () => {
    const watch = new TracksWatch();
    expect([BOTH, SOUND, { ...SOUND }, BOTH].map((now) => watch.changed(now))).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it("are another broadcast's own", () => {
    const watch = new TracksWatch();
    watch.changed(BOTH);
    watch.reset();
    expect(watch.changed(SOUND)).toBe(false);
  });
});
