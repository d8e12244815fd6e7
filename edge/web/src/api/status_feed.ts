import { type ReadonlySignal, signal } from "@preact/signals";
import { fetchStatus } from "./client";
import type { ChannelStatus } from "./types";

/** What the watch page knows of its channel. */
export interface ChannelNews {
  readonly phase: "loading" | "known" | "unknown";
  readonly status: ChannelStatus | null;
  /** The last question was not answered. */
  readonly unreachable: boolean;
  /** When the status was told, Unix milliseconds. */
  readonly heardAt: number | null;
}

const LIVE_MS = 3000;
const WAITING_MS = 1500;
/** While the picture stands still, or the server is away: the first answer makes the player ask again. */
const URGENT_MS = 400;
const UNKNOWN_MS = 15_000;
const TIMEOUT_MS = 8000;
/** A question that hangs on a dead connection must not stand long in the way of the next. */
const URGENT_TIMEOUT_MS = 1000;
/** Every third is given more, for lines on which everything takes long. */
const PATIENT_TIMEOUT_MS = 3000;

/** How long until the next question: often while something is about to happen, seldom else. */
export function statusPauseMs(
  news: ChannelNews,
  urgent: boolean,
  random: () => number = Math.random,
): number {
  if (news.phase === "unknown") return jittered(UNKNOWN_MS, random);
  if (urgent) return jittered(URGENT_MS, random);
  if (news.unreachable) return jittered(WAITING_MS, random);
  return jittered(news.status?.state === "live" ? LIVE_MS : WAITING_MS, random);
}

/** How long to wait for an answer. `failed`: questions in a row that had none. */
export function statusTimeoutMs(urgent: boolean, failed: number): number {
  if (!urgent) return TIMEOUT_MS;
  return failed % 3 === 2 ? PATIENT_TIMEOUT_MS : URGENT_TIMEOUT_MS;
}

function jittered(ms: number, random: () => number): number {
  return ms * (0.8 + 0.4 * random());
}

export interface StatusFeed {
  readonly news: ReadonlySignal<ChannelNews>;
  /** While urgent it asks often and waits for no answer long. Becoming urgent asks at once. */
  urgent(on: boolean): void;
  /** Asks now instead of at the next turn. */
  askNow(): void;
  close(): void;
}

/**
 * Asks for a channel's status over and over. Plain questions, not an event stream: a page that plays over
 * HTTP/1.1 already holds most of the six connections a browser allows.
 */
export function followStatus(channel: string): StatusFeed {
  const news = signal<ChannelNews>({ phase: "loading", status: null, unreachable: false, heardAt: null });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking: AbortController | null = null;
  let hurried = false;
  let failed = 0;

  async function ask(): Promise<void> {
    clearTimeout(timer);
    asking?.abort();
    const turn = new AbortController();
    asking = turn;
    timer = setTimeout(() => turn.abort(), statusTimeoutMs(hurried, failed));
    const answer = await fetchStatus(channel, turn.signal);
    if (asking !== turn) return;
    clearTimeout(timer);
    failed = !answer.ok && answer.reason === "unreachable" ? failed + 1 : 0;
    news.value = told(news.value, answer);
    timer = setTimeout(ask, statusPauseMs(news.value, hurried));
  }

  void ask();
  return {
    news,
    urgent: (on) => {
      const begins = on && !hurried;
      hurried = on;
      if (begins) void ask();
    },
    askNow: () => void ask(),
    close: () => {
      clearTimeout(timer);
      asking?.abort();
      asking = null;
    },
  };
}

function told(before: ChannelNews, answer: Awaited<ReturnType<typeof fetchStatus>>): ChannelNews {
  if (answer.ok) return { phase: "known", status: answer.value, unreachable: false, heardAt: Date.now() };
  if (answer.reason === "unknown") {
    return { phase: "unknown", status: null, unreachable: false, heardAt: Date.now() };
  }
  return { ...before, unreachable: true };
}
