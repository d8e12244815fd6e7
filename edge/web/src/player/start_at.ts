/** Where a link asks to begin. */
export type StartAt =
  | { readonly unixMs: number }
  /** So long before live. */
  | { readonly behindS: number };

/**
 * The `start` of an address: "-90" is a minute and a half ago, "1764424000" a Unix time in seconds, and
 * "2026-11-29T14:02:05Z" the same moment in words. Null for anything else.
 */
export function readStart(value: string | null): StartAt | null {
  const text = (value ?? "").trim();
  if (/^-\d{1,6}$/.test(text)) return { behindS: -Number(text) };
  if (/^\d{9,11}$/.test(text)) return { unixMs: Number(text) * 1000 };
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return null;
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? null : { unixMs: moment };
}
