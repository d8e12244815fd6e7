/** What a closed chat socket means: whether to come back, and what to tell. */

export interface Verdict {
  readonly retry: boolean;
  /** Come back later than usual. */
  readonly slow: boolean;
  /** Why there is no way back; empty when there is. */
  readonly reason: string;
  /** The token is no good: go on without it. */
  readonly dropToken: boolean;
}

const RETRY: Verdict = { retry: true, slow: false, reason: "", dropToken: false };
const FINAL = { retry: false, slow: false, dropToken: false };

const VERDICTS: Readonly<Record<number, Verdict>> = {
  4001: { ...FINAL, dropToken: true, reason: "The chat token is not valid, or it has expired." },
  4003: { ...FINAL, reason: "You are banned from this chat." },
  4004: { ...FINAL, reason: "This channel has no chat." },
  4029: { ...RETRY, slow: true },
};

export function verdictOf(code: number): Verdict {
  return VERDICTS[code] ?? RETRY;
}

/** What an error frame means, in a sentence that says what to do. */
export function errorSentence(code: string, detail: string): string {
  switch (code) {
    case "too_long":
      return "That message is too long: 500 characters at most.";
    case "empty":
      return "There was nothing to send.";
    case "not_authenticated":
      return "Enter a chat token to write here.";
    case "banned":
      return "You cannot write in this chat.";
    case "rate_limited":
      return "You are writing faster than this chat allows.";
    case "unknown_room":
      return "This channel has no chat.";
    case "unavailable":
      return "The chat could not store that. Try again in a moment.";
    default:
      return detail || "The chat refused that message.";
  }
}
