/** What a closed chat socket means: whether to come back, and what to tell. */

export interface Verdict {
  readonly retry: boolean;
  /** Come back later than usual. */
  readonly slow: boolean;
  /** Why it was closed, for people; empty where "not connected" says it. */
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
  4008: { ...RETRY, reason: "The chat came faster than this connection could take it" },
  4009: { ...RETRY, reason: "The chat moves to another server" },
  4029: { ...RETRY, slow: true, reason: "There are too many connections from here" },
};

export function verdictOf(code: number): Verdict {
  return VERDICTS[code] ?? RETRY;
}

/** When a server that sends everybody elsewhere wants us back, milliseconds; null when it does not say. */
export function askedToWaitMs(reason: string): number | null {
  const found = /^retry_after=(\d{1,3}(?:\.\d+)?)$/.exec(reason);
  return found === null ? null : Number(found[1]) * 1000;
}
