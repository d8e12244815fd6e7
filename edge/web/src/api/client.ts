import { type ChannelStatus, isFields, type LiveChannel, numberOf, readChannels, readStatus } from "./types";

const TIMEOUT_MS = 8000;

/** An answer, or why there is none: "unknown" is a 404, "unreachable" everything that may heal. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: "unknown" | "unreachable" };

const UNREACHABLE = { ok: false, reason: "unreachable" } as const;

async function getJson<T>(
  path: string,
  read: (document: unknown) => T | null,
  signal: AbortSignal = AbortSignal.timeout(TIMEOUT_MS),
): Promise<Answer<T>> {
  try {
    const response = await fetch(path, { signal, cache: "no-store" });
    if (response.status === 404) return { ok: false, reason: "unknown" };
    if (!response.ok) return UNREACHABLE;
    const value = read(await response.json());
    return value === null ? UNREACHABLE : { ok: true, value };
  } catch {
    return UNREACHABLE;
  }
}

export function fetchChannels(): Promise<Answer<readonly LiveChannel[]>> {
  return getJson("/live/channels.json", readChannels);
}

export function fetchStatus(channel: string, signal?: AbortSignal): Promise<Answer<ChannelStatus>> {
  return getJson(`/live/${encodeURIComponent(channel)}/status.json`, readStatus, signal);
}

/** The port on which this edge takes RTMP. */
export function fetchRtmpPort(): Promise<Answer<number>> {
  return getJson("/live/ingest.json", (document) =>
    isFields(document) ? numberOf(document.rtmp_port) : null,
  );
}

export function playlistPath(channel: string): string {
  return `/live/${encodeURIComponent(channel)}/index.m3u8`;
}

/** The channel's sound alone. */
export function soundPath(channel: string): string {
  return `/live/${encodeURIComponent(channel)}/audio.m3u8`;
}

/** Whether this server has something at a path; false also while it does not answer. */
export async function exists(path: string): Promise<boolean> {
  try {
    return (await fetch(path, { method: "HEAD", signal: AbortSignal.timeout(TIMEOUT_MS) })).ok;
  } catch {
    return false;
  }
}

/** A text document; null when there is none. */
export async function fetchText(path: string): Promise<string | null> {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}
