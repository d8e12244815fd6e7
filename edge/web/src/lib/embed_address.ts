import { readStart, type StartAt } from "../player/start_at";

/** What the address of an embedded player asks for. */
export interface EmbedWish {
  readonly autoplay: boolean;
  readonly muted: boolean;
  readonly chat: boolean;
  readonly start: StartAt | null;
}

/** `?autoplay=0&muted=1&chat=1&start=...`; see readStart for the last. */
export function readEmbed(search: string): EmbedWish {
  const query = new URLSearchParams(search);
  return {
    autoplay: !isOff(query.get("autoplay")),
    muted: isOn(query.get("muted")),
    chat: isOn(query.get("chat")),
    start: readStart(query.get("start")),
  };
}

function isOff(value: string | null): boolean {
  return value === "0" || value === "false";
}

function isOn(value: string | null): boolean {
  return value !== null && !isOff(value);
}

/** Address of a channel's page, beginning at a moment when there is one (Unix milliseconds). */
export function pageAddress(origin: string, channel: string, startMs: number | null): string {
  return `${origin}/${channel}${startMs === null ? "" : `?start=${Math.floor(startMs / 1000)}`}`;
}

/** HTML that shows a channel on another site. The shape of the frame follows its width. */
export function embedCode(origin: string, channel: string, chat: boolean): string {
  const address = `${origin}/embed/${channel}${chat ? "?chat=1" : ""}`;
  const shape = chat ? "min-height: 480px" : "aspect-ratio: 16 / 9";
  return (
    `<iframe src="${address}" title="${channel}, live" style="width: 100%; ${shape}; border: 0" ` +
    `allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`
  );
}
