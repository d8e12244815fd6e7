import { describe, expect, it } from "vitest";
import { readStatus } from "../src/api/types";
import type { Refusal } from "../src/player/admission";
import { askAnew } from "../src/player/ask_anew";
import { Inflow } from "../src/player/inflow";
import { latencyOf, nextBehind } from "../src/player/latency";
import { type PictureInput, pictureOf } from "../src/player/picture";
import { levelLabel, qualityChoices } from "../src/player/quality";
import { Recovery } from "../src/player/recovery";
import { fastestRate, firstPart, hlsSettings, targetLatencyS } from "../src/player/settings";
import { commandOf, KEY_HELP } from "../src/player/shortcuts";

describe("latency", () => {
  const known = {
    measured: 1.3,
    syncPosition: 100,
    target: 1.2,
    position: 99,
    windowStart: 40,
    advancing: true,
  };
  it("is what was measured while the picture moves", () => {
    expect(latencyOf(known)).toBe(1.3);
  });
  it("grows while the picture stands still", () => {
    expect(latencyOf({ ...known, advancing: false })).toBeCloseTo(2.2);
    expect(latencyOf({ ...known, advancing: false, syncPosition: 110 })).toBeCloseTo(12.2);
  });
  it("grows as well while the server is away, and nothing says what is live", () => {
    expect(latencyOf({ ...known, measured: 31.3, advancing: false })).toBe(31.3);
  });
  it("is unknown without a live position", () => {
    expect(latencyOf({ ...known, measured: null, syncPosition: null })).toBeNull();
  });
  it("is unknown while a source that was loaded again has no place yet", () => {
    const placeless = { ...known, measured: 101.2, position: 0 };
    expect(latencyOf(placeless)).toBeNull();
    expect(latencyOf({ ...placeless, advancing: false })).toBeNull();
    expect(latencyOf({ ...placeless, windowStart: 0 })).toBe(101.2);
    expect(latencyOf({ ...placeless, windowStart: null })).toBe(101.2);
  });
});

describe("being behind by choice", () => {
  it("begins with a pause or a seek", () => {
    expect(nextBehind(false, "paused", 1.3, true)).toBe(true);
    expect(nextBehind(false, "sought_back", 1.3, false)).toBe(true);
  });
  it("lasts through a pause, and while far behind", () => {
    expect(nextBehind(true, "tick", 1.5, true)).toBe(true);
    expect(nextBehind(true, "tick", 30, false)).toBe(true);
  });
  it("ends by going live or by being close", () => {
    expect(nextBehind(true, "went_live", 30, false)).toBe(false);
    expect(nextBehind(true, "tick", 2, false)).toBe(false);
  });
});

describe("the playback rate", () => {
  it("is raised for nobody who is behind by choice, or wants no low latency", () => {
    expect(fastestRate(true, false)).toBeGreaterThan(1);
    for (const [lowLatency, behind] of [
      [true, true],
      [false, false],
      [false, true],
    ] as const)
      expect(fastestRate(lowLatency, behind)).toBe(1);
  });
});

describe("asking anew", () => {
  const asked = (place: number) => {
    const calls: unknown[][] = [];
    askAnew(
      { stopLoad: () => calls.push(["stop"]), startLoad: (...where) => calls.push(["start", ...where]) },
      place,
    );
    return calls;
  };
  it("is for the viewer's place, and takes nobody elsewhere", () => {
    expect(asked(21.98)).toEqual([["stop"], ["start", 21.98, true]]);
  });
  it("is for live while there is no place", () => {
    expect(asked(0)).toEqual([["stop"], ["start"]]);
  });
});

describe("inflow", () => {
  it("counts what comes before a request is over, and keeps it", () => {
    const [inflow, first, second] = [new Inflow(), { loaded: 0 }, { loaded: 5 }];
    inflow.begin(first);
    inflow.begin(second);
    first.loaded = 100;
    expect(inflow.bytes).toBe(105);
    inflow.end(first);
    inflow.end(first);
    first.loaded = 0;
    expect(inflow.bytes).toBe(105);
  });
});

describe("recovery", () => {
  it("tries the media pipeline twice, then loads again, later each time, for ever", () => {
    const recovery = new Recovery(() => 1);
    const remedies = Array.from({ length: 8 }, () => recovery.trouble("media", 0));
    expect(remedies.slice(0, 2)).toEqual([{ action: "recover_media" }, { action: "recover_media" }]);
    const waits = remedies.slice(2).map((remedy) => (remedy.action === "reload" ? remedy.afterMs : -1));
    expect(waits).toEqual([400, 800, 1600, 3200, 4000, 4000]);
  });
  it("forgets after playing well", () => {
    const recovery = new Recovery(() => 1);
    recovery.trouble("network", 0);
    recovery.trouble("network", 1000);
    recovery.moved(12_000);
    expect(recovery.attempts).toBe(0);
    expect(recovery.trouble("network", 12_500)).toEqual({ action: "reload", afterMs: 400 });
  });
  it("notices a silent halt, and none while nothing was expected", () => {
    const recovery = new Recovery();
    expect(recovery.halted(1e9)).toBe(false);
    recovery.moved(0);
    expect(recovery.halted(5999)).toBe(false);
    expect(recovery.halted(6000)).toBe(true);
    recovery.excuse(6000);
    expect(recovery.halted(7000)).toBe(false);
  });
  it("waits for a picture on a narrow line while something comes", () => {
    const recovery = new Recovery();
    recovery.excuse(0);
    for (let now = 250; now <= 20_000; now += 250) {
      recovery.came(now, now);
      expect(recovery.halted(now) || recovery.sluggish(now)).toBe(false);
    }
    recovery.came(20_000, 22_000);
    expect(recovery.sluggish(23_000)).toBe(true);
    expect(recovery.halted(25_999)).toBe(false);
    expect(recovery.halted(26_000)).toBe(true);
  });

  it("is not put off for ever by what comes and is never shown", () => {
    const recovery = new Recovery();
    recovery.excuse(0);
    let halted = 0;
    for (let now = 250; now <= 60_000 && halted === 0; now += 250) {
      recovery.came(now, now);
      if (recovery.halted(now)) halted = now;
    }
    expect(halted).toBeGreaterThan(30_000);
    expect(halted).toBeLessThan(37_000);
  });

  it("asks anew once for a picture that has stood still for a while", () => {
    const recovery = new Recovery();
    expect(recovery.sluggish(1e9)).toBe(false);
    recovery.moved(0);
    expect([2999, 3000, 3250].map((now) => recovery.sluggish(now))).toEqual([false, true, false]);
    recovery.moved(4000);
    expect(recovery.sluggish(7000)).toBe(true);
  });
});

describe("the picture's state", () => {
  const live = readStatus({ channel: "main", state: "live", stream_id: "s" });
  const base: PictureInput = {
    channel: "main",
    news: { phase: "known", status: live, unreachable: false, heardAt: 0 },
    moving: false,
    shown: false,
    recovering: false,
    unsupported: false,
    full: false,
    admitted: { phase: "admitted", prefix: "" },
  };
  const withState = (state: string) => ({
    ...base,
    news: { ...base.news, status: readStatus({ channel: "main", state }) },
  });

  it("follows the channel", () => {
    expect(pictureOf(withState("offline"))).toMatchObject({ state: "offline" });
    expect(pictureOf(withState("starting"))).toMatchObject({ state: "starting" });
    expect(pictureOf(withState("interrupted"))).toMatchObject({ state: "reconnecting" });
    expect(pictureOf(base)).toMatchObject({ state: "starting" });
  });
  it("says nothing while the picture moves, whatever the server is doing", () => {
    const gone = { ...base, news: { ...base.news, unreachable: true } };
    expect(pictureOf({ ...gone, moving: true, shown: true })).toEqual({ state: "playing", caption: null });
    expect(pictureOf({ ...gone, shown: true }).state).toBe("reconnecting");
  });
  it("tells a short wait from a broken stream", () => {
    expect(pictureOf({ ...base, shown: true }).state).toBe("buffering");
    expect(pictureOf({ ...base, shown: true, recovering: true }).state).toBe("reconnecting");
  });
  it("offers something to do where the viewer can do something", () => {
    expect(pictureOf({ ...base, shown: true, recovering: true }).caption?.action).toBe("retry");
    expect(pictureOf(withState("interrupted")).caption?.action).toBeUndefined();
  });
  it("says that the server is full, until the picture moves", () => {
    const full = pictureOf({ ...base, recovering: true, full: true });
    expect(full).toMatchObject({ state: "reconnecting", caption: { title: "Full for the moment" } });
    expect(pictureOf({ ...base, full: true, moving: true }).state).toBe("playing");
  });
  it("says why somebody may not watch, and offers to sign in where that helps", () => {
    const locked = (why: Refusal, detail = "") =>
      pictureOf({ ...base, admitted: { phase: "refused", why, detail } });
    expect(locked("no_token")).toMatchObject({ state: "locked", caption: { action: "sign_in" } });
    expect(locked("bad_token").caption?.action).toBe("sign_in");
    expect(locked("followers").caption?.title).toBe("Follow main to watch");
    expect(locked("other", "this user is suspended").caption?.detail).toBe("this user is suspended");
  });
  it("fails for unknown channels and browsers that cannot", () => {
    const unknown = { phase: "unknown", status: null, unreachable: false, heardAt: 0 } as const;
    expect(pictureOf({ ...base, news: unknown }).caption?.title).toContain("no channel called main");
    expect(pictureOf({ ...base, unsupported: true }).state).toBe("failed");
  });
});

describe("quality", () => {
  const levels = [
    { width: 640, height: 360, frameRate: 30, bitrate: 8e5 },
    { width: 1920, height: 1080, frameRate: 60, bitrate: 6e6 },
  ];
  it("is listed best first, below automatic", () => {
    const choices = qualityChoices(levels, 0);
    expect(choices.map((choice) => [choice.index, choice.label])).toEqual([
      [-1, "Auto"],
      [1, "1080p60"],
      [0, "360p"],
    ]);
    expect(choices[0]?.detail).toBe("now 360p");
  });
  it("of an upright picture counts its short side", () => {
    expect(levelLabel({ width: 1080, height: 1920, frameRate: 30, bitrate: 0 })).toBe("1080p");
  });
});

describe("the distance from live", () => {
  const near = { partTargetS: 0.5, closeness: { lowLatency: true, targetS: null } } as const;
  it("is just above the hold back, or what the viewer wants between that and ten seconds", () => {
    expect(targetLatencyS(0.35, null)).toBeCloseTo(1.2);
    expect(targetLatencyS(null, 0.2)).toBeCloseTo(1.2);
    expect([targetLatencyS(0.35, 4), targetLatencyS(0.35, 30)]).toEqual([4, 10]);
  });
  it("has retries that outlast a restart of the origin", () => {
    const settings = hlsSettings(near);
    expect(settings.liveSyncDuration).toBeCloseTo(1.65);
    expect("liveMaxLatencyDuration" in settings, "the page leaps by itself").toBe(false);
    expect(settings.playlistLoadPolicy?.default.errorRetry?.maxNumRetry).toBe(20);
    expect(settings.playlistLoadPolicy?.default.maxTimeToFirstByteMs).toBeGreaterThanOrEqual(8000);
  });
  it("is the playlist's own without low latency", () => {
    const settings = hlsSettings({ ...near, closeness: { lowLatency: false, targetS: 4 } });
    expect(settings.lowLatencyMode).toBe(false);
    expect("liveSyncDuration" in settings).toBe(false);
  });
});

describe("the first playlist of a broadcast that has just begun", () => {
  it("is asked for with its first part, media playlists only", () => {
    const media = "http://tv.example/g/x/media/b/360p/index.m3u8";
    expect(firstPart(media, true)).toBe(`${media}?_HLS_msn=0&_HLS_part=0`);
    expect(firstPart(media, false)).toBe(media);
    for (const other of [
      `${media}?_HLS_msn=4`,
      "http://tv.example/live/a/index.m3u8",
      "http://tv.example/media/b/360p/p1.m4s",
    ])
      expect(firstPart(other, true)).toBe(other);
  });
});

describe("keys", () => {
  const press = { key: "k", ctrlKey: false, metaKey: false, altKey: false, focus: "body" };
  it("are commands", () => {
    expect(commandOf(press)).toBe("toggle_play");
    expect(commandOf({ ...press, key: "M" })).toBe("mute");
    expect(commandOf({ ...press, key: "?" })).toBe("help");
  });
  it("belong to whoever types, to buttons, and to the browser", () => {
    expect(commandOf({ ...press, focus: "textarea" })).toBeNull();
    expect(commandOf({ ...press, key: " ", focus: "button" })).toBeNull();
    expect(commandOf({ ...press, ctrlKey: true })).toBeNull();
    expect(commandOf({ ...press, key: "q" })).toBeNull();
  });
  it("move a slider or press a check box that has the focus", () => {
    expect(commandOf({ ...press, key: "ArrowLeft", focus: "range" })).toBeNull();
    expect(commandOf({ ...press, key: " ", focus: "checkbox" })).toBeNull();
    expect(commandOf({ ...press, key: " ", focus: "range" })).toBe("toggle_play");
    expect(commandOf({ ...press, key: "c", focus: "checkbox" })).toBe("captions");
  });
  it("are all in the help", () => {
    const helped = KEY_HELP.flatMap(([keys]) => keys.split(", "));
    const names: Readonly<Record<string, string>> = { Space: " ", Left: "ArrowLeft", Right: "ArrowRight" };
    const more: Readonly<Record<string, string>> = { Up: "ArrowUp", Down: "ArrowDown", ...names };
    const ours = helped.filter((key) => key !== "h"); // the chat's own
    for (const key of ours) expect(commandOf({ ...press, key: more[key] ?? key }), key).not.toBeNull();
    expect(ours.length).toBe(15);
  });
});
