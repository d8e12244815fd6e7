/** What a badge of a message says about its author. */

export type BadgeKind = "broadcaster" | "moderator" | "vip" | "subscriber" | "other";

export interface Badge {
  readonly kind: BadgeKind;
  /** In words, for screen readers and on hover. */
  readonly words: string;
  /** Shown beside the picture: months of a subscriber, the badge itself when it has no picture. */
  readonly text: string;
}

const WORDS: Readonly<Record<string, readonly [BadgeKind, string]>> = {
  broadcaster: ["broadcaster", "Broadcaster"],
  moderator: ["moderator", "Moderator"],
  vip: ["vip", "VIP"],
};

/** "moderator", "subscriber/TIER/MONTHS", or a badge of the user's own. */
export function badgeOf(text: string): Badge {
  const known = WORDS[text];
  if (known !== undefined) return { kind: known[0], words: known[1], text: "" };
  const [name, tier, months] = text.split("/");
  if (name !== "subscriber") return { kind: "other", words: text, text };
  const count = Number(months ?? "");
  const shown = Number.isInteger(count) && count > 0 ? count : 0;
  const level = tier !== undefined && tier > "1" ? `, tier ${tier}` : "";
  const span = shown > 0 ? `, ${shown} ${shown === 1 ? "month" : "months"}` : "";
  return { kind: "subscriber", words: `Subscriber${level}${span}`, text: shown > 0 ? `${shown}` : "" };
}

export type Rank = "viewer" | "vip" | "moderator" | "owner";

const RANKS: readonly Rank[] = ["viewer", "vip", "moderator", "owner"];

export function rankOf(value: unknown): Rank {
  return RANKS.find((rank) => rank === value) ?? "viewer";
}

/** The rank that badges show. */
export function rankOfBadges(badges: readonly string[]): Rank {
  if (badges.includes("broadcaster")) return "owner";
  if (badges.includes("moderator")) return "moderator";
  return badges.includes("vip") ? "vip" : "viewer";
}

export function atLeast(rank: Rank, least: Rank): boolean {
  return RANKS.indexOf(rank) >= RANKS.indexOf(least);
}
