import { type ReadonlySignal, signal } from "@preact/signals";
import { backoffMs } from "../lib/backoff";
import { readEvents, type ServerEvent } from "../lib/sse";
import { readHealth, type StreamHealth } from "./health";
import { addReport, EMPTY_HISTORY, type HealthHistory } from "./health_history";

/** "refused": the token is not valid; "foreign": it is somebody else's; both end the asking. */
export type HealthPhase = "opening" | "open" | "lost" | "refused" | "foreign" | "unknown";

export interface HealthNews {
  readonly phase: HealthPhase;
  readonly health: StreamHealth | null;
  readonly history: HealthHistory;
}

export interface HealthFeed {
  readonly news: ReadonlySignal<HealthNews>;
  close(): void;
}

const RETRY = { firstMs: 1000, limitMs: 15_000 };
const SILENCE_MS = 40_000;
const REFUSALS: Readonly<Record<number, HealthPhase>> = { 401: "refused", 403: "foreign", 404: "unknown" };

/**
 * Follows /live/CHANNEL/health until closed. Not an EventSource, which can send no header: a token in an
 * address ends up in logs.
 */
export function followHealth(channel: string, token: string): HealthFeed {
  const news = signal<HealthNews>({ phase: "opening", health: null, history: EMPTY_HISTORY });
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;

  function take(data: string): void {
    let health: StreamHealth | null = null;
    try {
      health = readHealth(JSON.parse(data));
    } catch {
      return;
    }
    if (health === null) return;
    failures = 0;
    const before = news.value.history;
    const history = health.report === null ? before : addReport(before, health.report);
    news.value = { phase: "open", health, history };
  }

  /** The body of an answer that streams; null when the answer is a refusal, which is final. */
  async function open(signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    const response = await fetch(`/live/${encodeURIComponent(channel)}/health`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.any([over.signal, signal]),
      cache: "no-store",
    });
    const refusal = REFUSALS[response.status];
    if (refusal !== undefined) {
      news.value = { ...news.value, phase: refusal, health: null };
      over.abort();
      return null;
    }
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    return response.body;
  }

  async function listen(): Promise<void> {
    const silence = new AbortController();
    let quiet = setTimeout(() => silence.abort(), SILENCE_MS);
    const heard = (events: readonly ServerEvent[]) => {
      clearTimeout(quiet);
      quiet = setTimeout(() => silence.abort(), SILENCE_MS);
      for (const event of events) if (event.event === "health") take(event.data);
    };
    try {
      const body = await open(silence.signal);
      if (body !== null) await readEvents(body, heard);
    } catch {
      // What is wrong shows in the phase; the next try follows.
    } finally {
      clearTimeout(quiet);
    }
    again();
  }

  function again(): void {
    if (over.signal.aborted) return;
    news.value = { ...news.value, phase: "lost" };
    timer = setTimeout(listen, backoffMs(failures, RETRY));
    failures += 1;
  }

  void listen();
  return {
    news,
    close: () => {
      over.abort();
      clearTimeout(timer);
    },
  };
}
