/** Numbers and times in words. Everything takes its inputs; nothing reads a clock. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 950 -> "950", 12400 -> "12.4K". */
export function formatCount(count: number): string {
  return compact.format(Math.max(0, Math.round(count)));
}

/** "1 viewer", "12.4K viewers". */
export function formatViewers(count: number): string {
  return `${formatCount(count)} ${count === 1 ? "viewer" : "viewers"}`;
}

/** Clock form of a duration: 65 s -> "1:05", 3725 s -> "1:02:05". */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

/** Duration for a screen reader: 3725 s -> "1 hour 2 minutes". */
export function sayDuration(seconds: number): string {
  const minutes = Math.floor(Math.max(0, seconds) / 60);
  if (minutes === 0) return "less than a minute";
  const hours = Math.floor(minutes / 60);
  const words = [plural(hours, "hour"), plural(minutes % 60, "minute")].filter((word) => word !== "");
  return words.join(" ");
}

function plural(count: number, word: string): string {
  if (count === 0) return "";
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** "1.4 s behind live"; whole seconds from 10 s, clock form from a minute. */
export function formatLatency(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds <= 0) return "Live";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s behind live`;
  if (seconds < 60) return `${Math.round(seconds)} s behind live`;
  return `${formatDuration(seconds)} behind live`;
}

/** Bits per second with a unit: 5_800_000 -> "5.8 Mbit/s". */
export function formatBitrate(bitsPerSecond: number): string {
  if (!Number.isFinite(bitsPerSecond) || bitsPerSecond <= 0) return "unknown";
  if (bitsPerSecond < 1e6) return `${Math.round(bitsPerSecond / 1e3)} kbit/s`;
  return `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`;
}

/** Clock time of a chat message, in the reader's own locale. */
export function formatClock(unixMs: number, locale?: string): string {
  return new Date(unixMs).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
}

/** Clock time to the second, in the reader's own locale. */
export function formatExactClock(unixMs: number, locale?: string): string {
  return new Date(unixMs).toLocaleTimeString(locale, { timeStyle: "medium" });
}

/** The exact moment, for a tooltip. */
export function formatMoment(unixMs: number, locale?: string): string {
  return new Date(unixMs).toLocaleString(locale, { dateStyle: "medium", timeStyle: "medium" });
}
