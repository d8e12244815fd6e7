/** Addresses of a channel's newest picture. The edge makes one in each of these sizes (longer side, pixels). */
export const SIZES = [320, 640, 1280] as const;

/** How often a picture on a page is replaced, as often as the edge makes one. */
export const REFRESH_MS = 10_000;

/**
 * `thumbnail` is what the list of channels says ("/thumb/NAME.jpg"). The query changes with time, at the same
 * moments on every page, so that all viewers share what caches hold.
 */
export function pictureUrl(thumbnail: string, size: number, nowMs: number): string {
  const base = thumbnail.replace(/\.jpg$/, "");
  return `${base}/${size}.webp?t=${Math.floor(nowMs / REFRESH_MS)}`;
}

/** The sizes up to `largest`, for an image's srcset. */
export function pictureSet(thumbnail: string, largest: number, nowMs: number): string {
  return SIZES.filter((size) => size <= largest)
    .map((size) => `${pictureUrl(thumbnail, size, nowMs)} ${size}w`)
    .join(", ");
}

/** The picture of a channel that is known by its name only. */
export function thumbnailOf(channel: string): string {
  return `/thumb/${channel}.jpg`;
}
