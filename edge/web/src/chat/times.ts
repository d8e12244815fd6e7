/** Spans of time in words, and back. */

const UNITS = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
] as const;

/** 90 -> "1 minute 30 seconds": the two largest units that say it; part of a second counts as a whole one. */
export function sayTime(seconds: number): string {
  let left = Math.max(1, Math.ceil(seconds));
  const words: string[] = [];
  for (const [size, unit] of UNITS) {
    const count = Math.floor(left / size);
    left %= size;
    if (count > 0) words.push(`${count} ${unit}${count === 1 ? "" : "s"}`);
    else if (words.length > 0) break;
    if (words.length === 2) break;
  }
  return words.join(" ");
}

/** Countdown as it is shown: "45 s", "4:05", "1:02:03". */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.ceil(seconds));
  if (left < 60) return `${left} s`;
  const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, "0"))).join(":");
}

const SIZES: Readonly<Record<string, number>> = { "": 60, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of "90s", "10m", "2h", "1d", "1w" or "10" (minutes); null when it is nothing like that. */
export function readTime(text: string): number | null {
  const found = /^\s*(\d{1,7})\s*([smhdw]?)\s*$/i.exec(text);
  if (found === null) return null;
  const seconds = Number(found[1]) * (SIZES[(found[2] ?? "").toLowerCase()] ?? 0);
  return seconds > 0 ? seconds : null;
}
