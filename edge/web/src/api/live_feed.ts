import { signal } from "@preact/signals";
import { backoffMs } from "../lib/backoff";
import { fetchChannels } from "./client";
import { EMPTY_LIST, type LiveList, type LiveListEvent, reduceLiveList } from "./live_list";
import { readChannels } from "./types";

const RETRY = { firstMs: 1000, limitMs: 15_000 };
const OPEN_TIMEOUT_MS = 6000;

/** The live channels, while somebody listens. */
export const liveList = signal<LiveList>(EMPTY_LIST);

function apply(event: LiveListEvent): void {
  liveList.value = reduceLiveList(liveList.value, event);
}

/** Follows /live/events until the returned function is called; heals by itself, falling back to asking. */
export function followLive(): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let over = false;

  function take(document: unknown): void {
    const channels = readChannels(document);
    if (channels === null) return;
    failures = 0;
    clearTimeout(timer);
    apply({ type: "channels", channels, at: Date.now() });
  }

  function listen(): void {
    source = new EventSource("/live/events");
    source.addEventListener("channels", (event) => {
      try {
        take(JSON.parse(event.data));
      } catch {
        again();
      }
    });
    source.addEventListener("error", again);
    timer = setTimeout(again, OPEN_TIMEOUT_MS);
  }

  /** The browser gives an EventSource up after some answers, so it is always made anew. */
  function again(): void {
    source?.close();
    clearTimeout(timer);
    if (over) return;
    void ask();
    timer = setTimeout(listen, backoffMs(failures, RETRY));
    failures += 1;
  }

  async function ask(): Promise<void> {
    const answer = await fetchChannels();
    if (over) return;
    if (answer.ok) apply({ type: "channels", channels: answer.value, at: Date.now() });
    else apply({ type: "lost" });
  }

  listen();
  return () => {
    over = true;
    source?.close();
    clearTimeout(timer);
  };
}
