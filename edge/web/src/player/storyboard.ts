import { fetchText } from "../api/client";

/** A tile of a storyboard: from when to when it stands for the picture, and where it lies on its sheet. */
export interface Tile {
  /** On the broadcast's own time line, seconds. */
  readonly start: number;
  readonly end: number;
  /** Path of the sheet on this server. */
  readonly sheet: string;
  /** Pixels. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const TIMES = /^(\S+) --> (\S+)/;
const PLACE = /^([^#\s]+)#xywh=(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})$/;

/**
 * The tiles of a WebVTT of pictures, in order; what is no cue of one is left out. `base`: the folder of the
 * WebVTT. Sheets grow while they are filled, so their addresses change with the number of tiles.
 */
export function readStoryboard(text: string, base: string): readonly Tile[] {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n").slice(1);
  return blocks.map((block) => readCue(block.trim(), base, blocks.length)).filter((tile) => tile !== null);
}

function readCue(block: string, base: string, count: number): Tile | null {
  const [first = "", second = ""] = block.split("\n");
  const times = TIMES.exec(first);
  const place = PLACE.exec(second);
  const start = secondsOf(times?.[1]);
  const end = secondsOf(times?.[2]);
  if (place === null || start === null || end === null) return null;
  const [x = 0, y = 0, width = 0, height = 0] = place.slice(2).map(Number);
  return { start, end, sheet: `${base}${place[1]}?n=${count}`, x, y, width, height };
}

/** Seconds of a WebVTT timestamp. */
function secondsOf(clock: string | undefined): number | null {
  const found = /^(?:(\d{2,9}):)?([0-5]\d):([0-5]\d\.\d{3})$/.exec(clock ?? "");
  if (found === null) return null;
  return Number(found[1] ?? 0) * 3600 + Number(found[2]) * 60 + Number(found[3]);
}

/** The tile of a time, or null where there is none: before the first, and long after the last. */
export function tileAt(tiles: readonly Tile[], time: number): Tile | null {
  let found: Tile | null = null;
  for (const tile of tiles) {
    if (tile.start > time) break;
    found = tile;
  }
  if (found === null) return null;
  const grace = found.end - found.start; // the newest is drawn a little later
  return time < found.end + grace ? found : null;
}

const FRESH_MS = 8000;

/** The storyboard of a channel, fetched when somebody looks, and again while they do. */
export class Storyboard {
  private tiles: readonly Tile[] = [];
  private askedAt = Number.NEGATIVE_INFINITY;
  private readonly path: string;

  /** `address`: where a path of the channel is to be had. */
  constructor(
    channel: string,
    private readonly address: (path: string) => string,
  ) {
    this.path = `/thumb/${encodeURIComponent(channel)}/`;
  }

  /** Somebody looks: fetches what there is by now. */
  look(nowMs: number): void {
    if (nowMs - this.askedAt < FRESH_MS) return;
    this.askedAt = nowMs;
    void this.fetch();
  }

  at(time: number): Tile | null {
    return tileAt(this.tiles, time);
  }

  private async fetch(): Promise<void> {
    const base = this.address(this.path);
    const text = await fetchText(`${base}storyboard.vtt`);
    if (text !== null) this.tiles = readStoryboard(text, base);
  }
}
