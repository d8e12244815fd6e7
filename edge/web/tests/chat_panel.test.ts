import { describe, expect, it } from "vitest";
import { mayActOn, onMessage, onPerson, type Person, roles } from "../src/chat/actions";
import { readState } from "../src/chat/api";
import { atLeast, badgeOf, rankOfBadges } from "../src/chat/badges";
import { applied, commandIn, complete, type Sources } from "../src/chat/completion";
import { Draft } from "../src/chat/draft";
import { EMOJI, lettersOf, pictureOf } from "../src/chat/emotes";
import { waitWords } from "../src/chat/errors";
import { modesInWords, readModes } from "../src/chat/modes";
import { isAction, mentions, partsOf, wordsOf } from "../src/chat/parts";
import { countdown, readTime, sayTime } from "../src/chat/times";
import { NO_WAIT, waitAfter, waitOfSlowMode, waitUnder } from "../src/chat/wait";
import { startOf, windowAt, windowAtEnd } from "../src/chat/window";
import { hueOf } from "../src/lib/hash";
import { routeOf } from "../src/lib/router";
import tokens from "../src/styles/tokens.css?raw";
import { said } from "./chat_fixtures";

describe("the pieces of a message", () => {
  it("cut emotes by code points, whatever stands before them", () => {
    const found = said({
      message: "🎉🇳🇱 gg é gg",
      emotes: [
        { name: "gg", start: 9, end: 11 },
        { name: "gg", start: 4, end: 6 },
      ],
    });
    expect(partsOf(found)).toEqual([
      { kind: "text", text: "🎉🇳🇱 " },
      { kind: "emote", name: "gg" },
      { kind: "text", text: " é " },
      { kind: "emote", name: "gg" },
    ]);
  });
  it("leave emotes that overlap or lie outside as text", () => {
    const emotes = [
      { name: "ab", start: 0, end: 2 },
      { name: "bc", start: 1, end: 3 },
      { name: "zz", start: 3, end: 9 },
    ];
    expect(partsOf(said({ message: "abcd", emotes }))).toEqual([
      { kind: "emote", name: "ab" },
      { kind: "text", text: "cd" },
    ]);
  });
  it("find mentions as the server does, and links without what ends a sentence", () => {
    expect(wordsOf("hi @Mira, see https://example.org/a?b=(c). mail a@b.org")).toEqual([
      { kind: "text", text: "hi " },
      { kind: "mention", text: "@Mira", name: "Mira" },
      { kind: "text", text: ", see " },
      { kind: "link", text: "https://example.org/a?b=(c)", href: "https://example.org/a?b=(c)" },
      { kind: "text", text: ". mail a@b.org" },
    ]);
  });
  it("never make a link of anything but the web, or of what hides where it leads", () => {
    for (const text of ["javascript:alert(1)", "data:text/html,x", "http://good.org@evil.org/", "https://"]) {
      expect(wordsOf(text).filter((part) => part.kind === "link")).toEqual([]);
    }
  });
  it("know who is named, and what is done", () => {
    expect(mentions(said({ message: "for @mira" }), "Mira")).toBe(true);
    expect(mentions(said({ message: "for @miranda" }), "Mira")).toBe(false);
    expect(mentions(said({ message: "@" }), "")).toBe(false);
    const waves = said({ message: "/me waves", emotes: [{ name: "waves", start: 4, end: 9 }] });
    expect([isAction(waves), partsOf(waves)]).toEqual([true, [{ kind: "emote", name: "waves" }]]);
  });
});

describe("the window of a long list", () => {
  const heights = Array.from({ length: 1000 }, (_, index) => (index % 3 === 0 ? 40 : 20));
  const total = heights.reduce((sum, height) => sum + height, 0);
  it("covers what is in sight, and is always as high as the list", () => {
    for (const top of [0, 777, 12_345, total - 500]) {
      const { first, end, above, below } = windowAt(heights, top, 500, 200);
      const inside = startOf(heights, end) - startOf(heights, first);
      expect(above + inside + below).toBe(total);
      expect(above).toBe(startOf(heights, first));
      expect(above).toBeLessThanOrEqual(Math.max(0, top));
      expect(above + inside).toBeGreaterThanOrEqual(Math.min(total, top + 500));
      expect(end - first).toBeLessThan(60);
    }
  });
  it("ends with the list", () => {
    const { first, end, above, below } = windowAtEnd(heights, 500, 200);
    expect([end, below, above]).toEqual([1000, 0, startOf(heights, first)]);
    expect(total - above).toBeGreaterThanOrEqual(700);
    expect(windowAtEnd([], 500, 200)).toEqual({ first: 0, end: 0, above: 0, below: 0 });
    expect(windowAt([], 0, 500, 200)).toEqual({ first: 0, end: 0, above: 0, below: 0 });
  });
});

describe("completion", () => {
  const sources: Sources = {
    emotes: ["adaWave", "wave2", "gg"],
    emoji: [["wave", "👋"]],
    users: ["Mira", "noah", "amira"],
    commands: [
      { name: "slow", form: ["[time]"], help: "one message in that time" },
      { name: "slowoff", form: [], help: "end that" },
    ],
  };
  const labels = (text: string, cursor = text.length) =>
    complete(text, cursor, sources).suggestions.map(({ label }) => label);
  it("offers emotes and emoji after a colon and two letters", () => {
    expect(labels("hi :wa")).toEqual(["wave2", "adaWave", "wave"]);
    expect([labels(":w"), labels("a:wa"), labels("at 10:30")]).toEqual([[], [], []]);
  });
  it("offers names after an @, the last who wrote first, and those that begin so ahead of others", () => {
    expect(labels("@")).toEqual(["Mira", "noah", "amira"]);
    expect(labels("hey @mi")).toEqual(["Mira", "amira"]);
  });
  it("offers commands at the beginning only, with how they are written", () => {
    expect(labels("/sl")).toEqual(["/slow [time]", "/slowoff"]);
    expect([labels("a /sl"), labels("/slow 3")]).toEqual([[], []]);
    expect(commandIn("/slow 30", sources.commands)?.help).toBe("one message in that time");
    expect([commandIn("/slo", sources.commands), commandIn("slow", sources.commands)]).toEqual([null, null]);
  });
  it("replaces the word at the cursor and nothing else", () => {
    const text = "🎉 @mi and more";
    const found = complete(text, 6, sources);
    const [first] = found.suggestions;
    expect(first && applied(text, found, first)).toBe("🎉 @Mira  and more");
  });
});

describe("a draft", () => {
  const sources: Sources = { emotes: ["adaWave", "adaWow"], emoji: [], users: [], commands: [] };
  const draft = (text: string) => {
    const made = new Draft("", () => sources);
    made.write(text, text.length);
    return made;
  };
  it("chooses among suggestions by keys, and takes one", () => {
    const made = draft("hi :adaw");
    expect(made.key("ArrowDown")).toEqual({ taken: null });
    const choice = made.key("Tab");
    expect(choice?.taken?.label).toBe("adaWow");
    expect(choice?.taken && made.accept(choice.taken)).toBe(10);
    expect(made.text.value).toBe("hi adaWow ");
    expect(made.key("Tab")).toBeNull();
  });
  it("leaves keys alone once suggestions were dismissed, until something is written", () => {
    const made = draft(":ada");
    expect(made.key("Escape")).toEqual({ taken: null });
    expect([made.key("Enter"), made.key("ArrowUp")]).toEqual([null, null]);
    made.write(":adaw", 5);
    expect(made.completion.value.suggestions).toHaveLength(2);
  });
  it("sends what is complete already", () => {
    const commands = [{ name: "clear", form: [], help: "" }];
    const made = new Draft("", () => ({ ...sources, commands }));
    made.write("/clear", 6);
    expect(made.key("Enter")).toBeNull();
  });
  it("takes words at the cursor, apart from what stands before it", () => {
    const made = draft("hi");
    expect(made.insert("gg", 2)).toBe(6);
    expect(made.insert("🎉", 0)).toBe(3);
    expect(made.text.value).toBe("🎉 hi gg ");
  });
  it("is empty of suggestions when it was only kept", () => {
    expect(new Draft(":ada", () => sources).completion.value.suggestions).toEqual([]);
  });
});

describe("modes", () => {
  it("are told in words, with their numbers", () => {
    const words = modesInWords(
      readModes({ slow: 90, followers: 1440, subscribers: true, emote_only: true, unique: 60, shield: true }),
    );
    expect(words.map(({ name }) => name)).toEqual([
      "Shield",
      "Subscribers only",
      "Followers only",
      "Emotes only",
      "Slow mode",
      "No repeats",
    ]);
    const means = words.map((one) => one.means).join(" ");
    expect(means).toContain("one message in 1 minute 30 seconds");
    expect(means).toContain("followed the channel for 1 day");
  });
  it("say nothing when all is as usual, or cannot be read", () => {
    expect([modesInWords(readModes({})), modesInWords(readModes(7))]).toEqual([[], []]);
    expect(modesInWords(readModes({ followers: 0 }))[0]?.means).toBe(
      "Only those who follow the channel can write.",
    );
  });
});

describe("times", () => {
  it("are said in two units", () => {
    expect([0.2, 60, 61, 3600, 90_061].map(sayTime)).toEqual([
      "1 second",
      "1 minute",
      "1 minute 1 second",
      "1 hour",
      "1 day 1 hour",
    ]);
  });
  it("run down", () => {
    expect([0, 59.1, 60, 245, 3723].map(countdown)).toEqual(["0 s", "1:00", "1:00", "4:05", "1:02:03"]);
  });
  it("are read", () => {
    expect(["45s", "10", "2h", " 3D ", "1w"].map(readTime)).toEqual([45, 600, 7200, 259_200, 604_800]);
    expect(["", "0", "-5", "2y", "1h30"].map(readTime)).toEqual([null, null, null, null, null]);
  });
});

describe("waits", () => {
  const user = { userId: "u", username: "U", badges: [], moderator: false };
  const refusal = { type: "error", nonce: "n", code: "slow_mode", detail: "", retryAfterS: 2.5 } as const;
  it("follow refusals that tell for how long", () => {
    expect(waitAfter(refusal, 1000)).toMatchObject({ until: 3500 });
    expect(waitAfter({ ...refusal, retryAfterS: 0 }, 1000)).toBeNull();
    expect(waitAfter({ ...refusal, code: "not_unique" }, 1000)).toBeNull();
  });
  it("follow messages in slow mode, but not those of whom it does not slow down", () => {
    const slow = readModes({ slow: 30 });
    expect(waitOfSlowMode(slow, user, 0)?.until).toBe(30_000);
    expect(waitOfSlowMode(slow, { ...user, badges: ["subscriber/1/3"] }, 0)?.until).toBe(30_000);
    for (const badge of ["vip", "moderator", "broadcaster"]) {
      expect(waitOfSlowMode(slow, { ...user, badges: [badge] }, 0)).toBeNull();
    }
    expect(waitOfSlowMode(readModes({}), user, 0)).toBeNull();
  });
  it("end with the mode that they come from", () => {
    const slow = { until: 9, words: waitWords("slow_mode") };
    const timeout = { until: 9, words: waitWords("timed_out") };
    expect(waitUnder(readModes({}), slow)).toBe(NO_WAIT);
    expect(waitUnder(readModes({ slow: 5 }), slow)).toBe(slow);
    expect(waitUnder(readModes({}), timeout)).toBe(timeout);
  });
});

describe("badges", () => {
  it("say what they mean", () => {
    expect(badgeOf("moderator")).toEqual({ kind: "moderator", words: "Moderator", text: "" });
    expect(badgeOf("subscriber/2/14")).toEqual({
      kind: "subscriber",
      words: "Subscriber, tier 2, 14 months",
      text: "14",
    });
    expect(badgeOf("subscriber")).toMatchObject({ kind: "subscriber", words: "Subscriber", text: "" });
    expect(badgeOf("bot")).toEqual({ kind: "other", words: "bot", text: "bot" });
  });
  it("show the rank", () => {
    const ranks = [["broadcaster"], ["moderator", "vip"], ["vip"], ["bot"]].map(rankOfBadges);
    expect(ranks).toEqual(["owner", "moderator", "vip", "viewer"]);
    expect([atLeast("moderator", "vip"), atLeast("viewer", "vip")]).toEqual([true, false]);
  });
});

describe("what moderators can do", () => {
  const viewer: Person = { userId: "v", username: "vera", rank: "viewer", restriction: "" };
  const labels = (doings: readonly { label: string }[]) => doings.map(({ label }) => label);
  it("is nothing for viewers, and nothing to themselves or to their like", () => {
    const mod = { userId: "m", rank: "moderator" } as const;
    expect(onMessage({ userId: "x", rank: "vip" }, "id")).toEqual([]);
    expect(mayActOn({ userId: "x", rank: "vip" }, viewer)).toBe(false);
    expect(mayActOn(mod, { ...viewer, userId: "m" })).toBe(false);
    expect(mayActOn(mod, { ...viewer, rank: "moderator" })).toBe(false);
    expect(roles(mod, viewer)).toEqual([]);
    expect(mayActOn({ userId: "o", rank: "owner" }, { ...viewer, rank: "moderator" })).toBe(true);
  });
  it("can be undone", () => {
    const self = { userId: "o", rank: "owner" } as const;
    const [short, , , ban] = onPerson(self, viewer);
    expect(short).toMatchObject({
      label: "Time out 1 minute",
      action: { action: "timeout", target: "vera", seconds: 60 },
      undo: { action: "untimeout", target: "vera" },
    });
    expect(ban).toMatchObject({ label: "Ban", undo: { action: "unban" }, grave: true });
    expect(labels(onPerson(self, { ...viewer, restriction: "ban" }))).toEqual(["Unban"]);
    expect(labels(onPerson(self, { ...viewer, restriction: "timeout" }))[0]).toBe("End the timeout");
    expect(labels(roles(self, { ...viewer, rank: "vip" }))).toEqual(["Make moderator", "Take VIP away"]);
    expect(labels(onMessage(self, "id"))).toEqual(["Pin", "Delete"]);
  });
});

it("the state of a room is read without trust", () => {
  expect(readState({})).toMatchObject({ pin: null, rank: "viewer", commands: [], members: [] });
  const state = readState({
    rank: "moderator",
    emotes: { global: ["gg", 4], channel: "x" },
    commands: [{ name: "ban", form: ["user", "[reason]"], help: "keep a user out" }, {}],
    members: [{ user_id: "u", username: "u", restriction: "ban" }],
  });
  expect(state.emotes).toEqual({ global: ["gg"], channel: [] });
  expect(state.commands).toEqual([{ name: "ban", form: ["user", "[reason]"], help: "keep a user out" }]);
  expect([state.rank, state.members[0]?.restriction]).toEqual(["moderator", "ban"]);
});

it("emotes have a picture, or a tile of their own", () => {
  const names = ["gg", "adaWave", "ada_wave", "adaLOL", "Wave", "brainwave", "nothing"];
  expect(names.map(pictureOf)).toEqual(["win", "wave", "wave", "laugh", "wave", null, null]);
  expect([lettersOf("BigFish"), lettersOf("plain"), lettersOf("a_b")]).toEqual(["BF", "PL", "AB"]);
  expect(new Set(EMOJI.map(([, glyph]) => glyph)).size).toBe(EMOJI.length);
});

it("the chat alone has an address for frames", () => {
  expect(routeOf("/embed/Ada/chat")).toEqual({ view: "embed_chat", channel: "ada" });
  expect(routeOf("/embed/ada")).toEqual({ view: "embed", channel: "ada" });
  for (const path of ["/embed", "/embed/ada/talk", "/embed/ada/chat/x", "/embed/-/chat"]) {
    expect(routeOf(path).view).toBe("missing");
  }
});

type Lab = readonly [light: number, a: number, b: number];

function labOf(light: number, chroma: number, hue: number): Lab {
  const angle = (hue * Math.PI) / 180;
  return [light, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

/** Relative luminance of an Oklab colour (CSS Color 4, 10.1; WCAG 2.2, relative luminance). */
function luminance([light, a, b]: Lab): number {
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const clip = (value: number) => Math.min(1, Math.max(0, value));
  const red = clip(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
  const green = clip(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
  const blue = clip(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

it("every name can be read in both themes, on a line that mentions the reader too", () => {
  const [dark = "", light = ""] = tokens.split(':root[data-theme="light"]');
  const hues = new Set(Array.from({ length: 500 }, (_, index) => hueOf(`user-${index}`)));
  expect(hues.size).toBe(24);
  for (const theme of [dark, light]) {
    const number = (name: string) => Number(new RegExp(`--${name}: ([\\d.]+);`).exec(theme)?.[1]);
    const colour = (name: string) => {
      const found = new RegExp(`--${name}: oklch\\(([\\d. ]+)\\)`).exec(theme)?.[1] ?? "";
      const [l = 0, c = 0, h = 0] = found.split(" ").map(Number);
      return labOf(l, c, h);
    };
    const [l, a, b] = colour("surface-2");
    const [al, aa, ab] = colour("accent");
    const mix = (one: number, other: number) => 0.86 * one + 0.14 * other;
    const mixed: Lab = [mix(l, al), mix(a, aa), mix(b, ab)];
    for (const ground of [luminance([l, a, b]), luminance(mixed)]) {
      for (const hue of hues) {
        const name = luminance(labOf(number("name-light"), number("name-chroma"), hue));
        const ratio = (Math.max(name, ground) + 0.05) / (Math.min(name, ground) + 0.05);
        expect(ratio, `hue ${hue}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  }
});
