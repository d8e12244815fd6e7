import { sayTime } from "./times";

/** Error codes of the chat in sentences that say what to do. */

const SENTENCES: Readonly<Record<string, string>> = {
  too_long: "That message is too long: 500 characters at most.",
  empty: "There was nothing to send.",
  not_authenticated: "Enter a chat token to write here.",
  banned: "You are banned from this chat.",
  timed_out: "You are timed out.",
  muted: "You can read here, not write.",
  rate_limited: "You are writing faster than this chat allows.",
  room_busy: "So much is being written here that this did not fit.",
  unknown_room: "There is no such channel.",
  unavailable: "The chat could not store that. Try again in a moment.",
  subscribers_only: "Only subscribers can write at the moment.",
  followers_only: "Only followers can write at the moment.",
  slow_mode: "Slow mode is on.",
  emote_only: "Only emotes and emoji can be written at the moment.",
  not_unique: "Somebody has just said that. Say it differently.",
  blocked_term: "This channel does not want one of these words.",
  links_not_allowed: "Links are not allowed here.",
  spam: "You have written that often enough.",
  not_allowed: "You may not do that here, or not to this person.",
  unknown_user: "There is nobody of that name.",
  unknown_message: "That message is no longer there.",
  unreachable: "The chat does not answer. Try again in a moment.",
};

/** Codes after which the sender has to wait, and how that is called while the time runs. */
const WAITS: Readonly<Record<string, string>> = {
  timed_out: "You are timed out: you can write again in",
  followers_only: "You have not followed long enough: you can write in",
  slow_mode: "Slow mode: you can write again in",
  rate_limited: "Too fast: you can write again in",
  room_busy: "Too busy: you can write again in",
  unavailable: "The chat is busy: you can write again in",
};

/** `detail` is what the server says: it is shown where there is no sentence of our own. */
export function errorSentence(code: string, detail: string, retryAfterS = 0): string {
  const sentence = SENTENCES[code] ?? (detail === "" ? "The chat refused that." : capital(detail));
  if (retryAfterS <= 0) return sentence;
  return `${sentence} Try again in ${sayTime(retryAfterS)}.`;
}

function capital(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(first) ? first : `${first}.`;
}

/** What is said in front of the time that is left; empty when the code does not keep anybody from writing. */
export function waitWords(code: string): string {
  return WAITS[code] ?? "";
}
