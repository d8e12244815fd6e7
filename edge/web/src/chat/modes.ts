import { isFields, numberOf, textOf } from "../api/types";
import { sayTime } from "./times";

/** How a room may be written in. */
export interface Modes {
  /** Seconds between two messages of a user; 0: no such rule. */
  readonly slow: number;
  /** Minutes that a user must have followed; -1: everybody may write. */
  readonly followers: number;
  readonly subscribers: boolean;
  readonly emoteOnly: boolean;
  /** Seconds within which nobody repeats what was said. */
  readonly unique: number;
  readonly shield: boolean;
  readonly links: "allow" | "moderators" | "block";
  /** Doubtful messages wait for a moderator. */
  readonly hold: boolean;
}

export const USUAL_MODES: Modes = {
  slow: 0,
  followers: -1,
  subscribers: false,
  emoteOnly: false,
  unique: 0,
  shield: false,
  links: "allow",
  hold: false,
};

export function readModes(value: unknown): Modes {
  if (!isFields(value)) return USUAL_MODES;
  const links = textOf(value.links);
  return {
    slow: numberOf(value.slow) ?? 0,
    followers: numberOf(value.followers) ?? -1,
    subscribers: value.subscribers === true,
    emoteOnly: value.emote_only === true,
    unique: numberOf(value.unique) ?? 0,
    shield: value.shield === true,
    links: links === "moderators" || links === "block" ? links : "allow",
    hold: value.hold === true,
  };
}

export interface ModeWords {
  readonly name: string;
  readonly means: string;
}

/** The modes that are on, each in a word or two and in a sentence. */
export function modesInWords(modes: Modes): readonly ModeWords[] {
  const found: (ModeWords | false)[] = [
    modes.shield && { name: "Shield", means: "Stricter rules hold for a while, set by a moderator." },
    modes.subscribers && {
      name: "Subscribers only",
      means: "Only subscribers, VIPs and moderators can write.",
    },
    modes.followers >= 0 && { name: "Followers only", means: followersMean(modes.followers) },
    modes.emoteOnly && { name: "Emotes only", means: "Messages can hold nothing but emotes and emoji." },
    modes.slow > 0 && {
      name: "Slow mode",
      means: `Everybody can write one message in ${sayTime(modes.slow)}.`,
    },
    modes.unique > 0 && {
      name: "No repeats",
      means: `What somebody has said cannot be said again within ${sayTime(modes.unique)}.`,
    },
  ];
  return found.filter((one) => one !== false);
}

function followersMean(minutes: number): string {
  if (minutes === 0) return "Only those who follow the channel can write.";
  return `Only those who have followed the channel for ${sayTime(minutes * 60)} can write.`;
}
