import { signal } from "@preact/signals";

/** The wall clock, Unix milliseconds, moving once a second: what running times on the pages are counted from. */
export const now = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, 1000);
