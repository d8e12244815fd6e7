/**
 * Pictures of emotes. A server knows emotes by name only: a name that is, or ends with, a word of these has that
 * picture ("adaWave" waves), every other one has a tile with its letters.
 */
export const PICTURES = [
  "angry",
  "clap",
  "cool",
  "cry",
  "fire",
  "heart",
  "hype",
  "laugh",
  "love",
  "moon",
  "music",
  "sad",
  "sleep",
  "smile",
  "star",
  "sun",
  "think",
  "up",
  "wave",
  "win",
  "wink",
  "wow",
] as const;

export type Picture = (typeof PICTURES)[number];

const ALIASES: Readonly<Record<string, Picture>> = {
  bravo: "clap",
  bye: "wave",
  gg: "win",
  happy: "smile",
  hello: "wave",
  hi: "wave",
  hot: "fire",
  lol: "laugh",
  night: "moon",
  ok: "up",
  party: "hype",
  song: "music",
  tired: "sleep",
  trophy: "win",
  yes: "up",
};

/** The picture of an emote; null when it has a tile. */
export function pictureOf(name: string): Picture | null {
  const last = /(?:^|_|(?=[A-Z]))([A-Z]?[a-z0-9]+|[A-Z]+)$/.exec(name)?.[1] ?? "";
  return known(name.toLowerCase()) ?? known(last.toLowerCase());
}

function known(word: string): Picture | null {
  return PICTURES.find((picture) => picture === word) ?? ALIASES[word] ?? null;
}

/** Letters of an emote's tile: capitals of its name, or how it begins. */
export function lettersOf(name: string): string {
  const capitals = name.replace(/[^A-Z0-9]/g, "");
  return (capitals.length > 1 ? capitals : name.replaceAll("_", "")).slice(0, 2).toUpperCase();
}

/** Emoji by their names: text, which every system draws in its own way. */
export const EMOJI: readonly (readonly [name: string, glyph: string])[] = [
  ["smile", "😊"],
  ["laugh", "😂"],
  ["wink", "😉"],
  ["love", "😍"],
  ["cool", "😎"],
  ["think", "🤔"],
  ["wow", "😮"],
  ["cry", "😢"],
  ["angry", "😠"],
  ["sleep", "😴"],
  ["party", "🥳"],
  ["scream", "😱"],
  ["shrug", "🤷"],
  ["wave", "👋"],
  ["clap", "👏"],
  ["up", "👍"],
  ["down", "👎"],
  ["hands", "🙌"],
  ["thanks", "🙏"],
  ["heart", "❤️"],
  ["fire", "🔥"],
  ["star", "⭐"],
  ["hype", "🎉"],
  ["trophy", "🏆"],
  ["rocket", "🚀"],
  ["music", "🎵"],
  ["popcorn", "🍿"],
  ["coffee", "☕"],
  ["cat", "🐱"],
  ["dog", "🐶"],
  ["sun", "☀️"],
  ["moon", "🌙"],
];
