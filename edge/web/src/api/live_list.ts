import type { LiveChannel } from "./types";

/** What the home page knows of the live channels. */
export interface LiveList {
  readonly phase: "loading" | "ready" | "failed";
  readonly channels: readonly LiveChannel[];
  /** When the channels were last told, Unix milliseconds. */
  readonly updatedAt: number | null;
  /** The feed is away; `channels` are what we last heard. */
  readonly stale: boolean;
}

export type LiveListEvent =
  | { readonly type: "channels"; readonly channels: readonly LiveChannel[]; readonly at: number }
  | { readonly type: "lost" };

export const EMPTY_LIST: LiveList = { phase: "loading", channels: [], updatedAt: null, stale: false };

/**
 * Next state. Cards keep their place while people look at them: known channels stay in order, new ones come
 * after them; the first list decides by viewers.
 */
export function reduceLiveList(list: LiveList, event: LiveListEvent): LiveList {
  if (event.type === "lost") {
    if (list.updatedAt === null) return { ...list, phase: "failed" };
    return { ...list, stale: true };
  }
  return {
    phase: "ready",
    channels: arrange(list.channels, event.channels),
    updatedAt: event.at,
    stale: false,
  };
}

function arrange(before: readonly LiveChannel[], told: readonly LiveChannel[]): readonly LiveChannel[] {
  const places = new Map(before.map((channel, index) => [channel.channel, index]));
  const placed = (channel: LiveChannel) => places.get(channel.channel) ?? places.size;
  return [...told].sort(
    (a, b) => placed(a) - placed(b) || b.viewers - a.viewers || a.channel.localeCompare(b.channel),
  );
}
