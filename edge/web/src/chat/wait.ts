import { waitWords } from "./errors";
import type { ChatUser, Refusal } from "./frames";
import type { Modes } from "./modes";

/** Until when somebody cannot write, and how that is called. */
export interface Wait {
  /** Unix milliseconds. */
  readonly until: number;
  readonly words: string;
}

export const NO_WAIT: Wait = { until: 0, words: "" };

/** The wait after a refusal; null when it asks for none. */
export function waitAfter(refusal: Refusal, now: number): Wait | null {
  const words = waitWords(refusal.code);
  if (refusal.retryAfterS <= 0 || words === "") return null;
  return { until: now + refusal.retryAfterS * 1000, words };
}

/** The wait that is left when other modes hold. */
export function waitUnder(modes: Modes, wait: Wait): Wait {
  return modes.slow === 0 && wait.words === waitWords("slow_mode") ? NO_WAIT : wait;
}

const NOT_SLOWED = ["broadcaster", "moderator", "vip"];

/** The wait after a message of ours in slow mode; null for those whom it does not slow down. */
export function waitOfSlowMode(modes: Modes, user: ChatUser | null, now: number): Wait | null {
  if (modes.slow === 0 || user === null || user.moderator) return null;
  if (user.badges.some((badge) => NOT_SLOWED.includes(badge))) return null;
  return { until: now + modes.slow * 1000, words: waitWords("slow_mode") };
}
