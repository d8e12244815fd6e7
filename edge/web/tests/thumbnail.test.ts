import { describe, expect, it } from "vitest";
import { readChannels } from "../src/api/types";
import { pictureSet, pictureUrl, REFRESH_MS, thumbnailOf } from "../src/lib/thumbnail";

describe("pictures of channels", () => {
  it("have an address that is the same on every page for a while", () => {
    const first = pictureUrl("/thumb/ada.jpg", 640, 5 * REFRESH_MS);
    expect(first).toBe("/thumb/ada/640.webp?t=5");
    expect(pictureUrl("/thumb/ada.jpg", 640, 6 * REFRESH_MS - 1)).toBe(first);
    expect(pictureUrl("/thumb/ada.jpg", 640, 6 * REFRESH_MS)).not.toBe(first);
  });
  it("are offered in every size that can be needed", () => {
    expect(pictureSet(thumbnailOf("ada"), 640, 0)).toBe(
      "/thumb/ada/320.webp?t=0 320w, /thumb/ada/640.webp?t=0 640w",
    );
  });
  it("are absent where the list names none", () => {
    const told = (thumbnail: unknown) => readChannels({ channels: [{ channel: "ada", thumbnail }] });
    expect(told("/thumb/ada.jpg")?.[0]?.thumbnail).toBe("/thumb/ada.jpg");
    for (const odd of [null, undefined, 3, "https://elsewhere.example/x.jpg", "//elsewhere/x.jpg"]) {
      expect(told(odd)?.[0]?.thumbnail).toBe("");
    }
  });
});
