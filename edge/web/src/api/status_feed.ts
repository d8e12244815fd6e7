import { type ReadonlySignal, signal } from "@preact/signals";
import { fetchStatus } from "./client";
import type { ChannelStatus } from "./types";

/** What the watch page knows of its channel. */
export interface ChannelNews {
  readonly phase: "loading" | "known" | "unknown";
  readonly status: ChannelStatus | null;
  /** The last question was not answered. */
  readonly unreachable: boolean;
}

const LIVE_MS = 3000;
const WAITING_MS = 1500;
const UNKNOWN_MS = 15_000;

/** How long until the next question: often while something is about to happen, seldom else. */
export function statusPauseMs(news: ChannelNews, random: () => number = Math.random): number {
  if (news.unreachable) return jittered(WAITING_MS, random);
  if (news.phase === "unknown") return jittered(UNKNOWN_MS, random);
  return jittered(news.status?.state === "live" ? LIVE_MS : WAITING_MS, random);
}

function jittered(ms: number, random: () => number): number {
  return ms * (0.8 + 0.4 * random());
}

export interface StatusFeed {
  readonly news: ReadonlySignal<ChannelNews>;
  /** Asks now instead of at the next turn. */
  askNow(): void;
  close(): void;
}

/**
 * Asks for a channel's status over and over. Plain questions, not an event stream: a page that plays over
 * HTTP/1.1 already holds most of the six connections a browser allows.
 */
export function followStatus(channel: string): StatusFeed {
  const news = signal<ChannelNews>({ phase: "loading", status: null, unreachable: false });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  let asking = false;

  async function ask(): Promise<void> {
    clearTimeout(timer);
    if (asking || over) return;
    asking = true;
    const answer = await fetchStatus(channel);
    asking = false;
    if (over) return;
    if (answer.ok) news.value = { phase: "known", status: answer.value, unreachable: false };
    else if (answer.reason === "unknown") news.value = { phase: "unknown", status: null, unreachable: false };
    else news.value = { ...news.value, unreachable: true };
    timer = setTimeout(ask, statusPauseMs(news.value));
  }

  void ask();
  return {
    news,
    askNow: () => void ask(),
    close: () => {
      over = true;
      clearTimeout(timer);
    },
  };
}
