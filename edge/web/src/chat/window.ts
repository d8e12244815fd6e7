/** Which lines of a long list are in the page: those in sight and some around them. Heights in pixels. */

export interface Window {
  /** Index of the first line that is in the page. */
  readonly first: number;
  /** Index behind the last one. */
  readonly end: number;
  /** Height of what is left out above and below. */
  readonly above: number;
  readonly below: number;
}

/** The window that shows the list from `top` on for `height`, with `around` more on both sides. */
export function windowAt(heights: readonly number[], top: number, height: number, around: number): Window {
  let first = 0;
  let above = 0;
  while (first < heights.length - 1 && above + (heights[first] ?? 0) < top - around) {
    above += heights[first] ?? 0;
    first += 1;
  }
  let end = first;
  let reached = above;
  while (end < heights.length && reached < top + height + around) {
    reached += heights[end] ?? 0;
    end += 1;
  }
  return { first, end, above, below: sum(heights, end, heights.length) };
}

/** The window at the end of the list. */
export function windowAtEnd(heights: readonly number[], height: number, around: number): Window {
  let first = heights.length;
  let reached = 0;
  while (first > 0 && reached < height + around) {
    first -= 1;
    reached += heights[first] ?? 0;
  }
  return { first, end: heights.length, above: sum(heights, 0, first), below: 0 };
}

/** Where line `index` begins. */
export function startOf(heights: readonly number[], index: number): number {
  return sum(heights, 0, index);
}

function sum(heights: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let index = from; index < to; index++) total += heights[index] ?? 0;
  return total;
}
