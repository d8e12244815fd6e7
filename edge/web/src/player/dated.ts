/** Wall clock of positions, by the dates of a playlist's segments (EXT-X-PROGRAM-DATE-TIME). */

export interface DatedSegment {
  /** On the media's time line, seconds. */
  readonly start: number;
  readonly duration: number;
  /** Unix milliseconds of its start. */
  readonly programDateTime: number | null;
}

/** The segment a position lies in, or the nearest: `segments` are in order. Undefined when there are none. */
function segmentAt<T extends DatedSegment>(segments: readonly T[], position: number): T | undefined {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((segments[middle]?.start ?? 0) <= position) low = middle;
    else high = middle - 1;
  }
  return segments[low];
}

/** Unix milliseconds of a position, beyond the ends as well; null without dates. */
export function clockOf(segments: readonly DatedSegment[], position: number): number | null {
  const found = segmentAt(segments, position);
  if (found === undefined || found.programDateTime === null) return null;
  return found.programDateTime + (position - found.start) * 1000;
}

/** The position of a wall clock time; null without dates. */
export function positionOf(segments: readonly DatedSegment[], unixMs: number): number | null {
  let found: DatedSegment | undefined;
  for (const segment of segments) {
    if (segment.programDateTime === null) continue;
    if (found !== undefined && segment.programDateTime > unixMs) break;
    found = segment;
  }
  if (found === undefined || found.programDateTime === null) return null;
  return found.start + (unixMs - found.programDateTime) / 1000;
}
