import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatDuration, formatExactClock, formatLatency } from "../../lib/format";
import type { LivePlayer, SeekWindow } from "../../player/live_player";
import { Storyboard, type Tile } from "../../player/storyboard";

/** A window shorter than this is not worth a bar, seconds. */
const WORTH_S = 8;
const STEP_S = 5;
const PAGE_S = 60;
/** Half of the handle, pixels: the bar's ends lie so far inside the control. */
const HANDLE_PX = 7;
/** Within this of the live end, the preview says so, seconds. */
const LIVE_END_S = 1;

/** The part of the broadcast that can still be seen; the end is live. */
export function SeekBar(props: {
  readonly player: LivePlayer;
  readonly channel: string;
  /** Where a path of the channel is to be had. */
  readonly address: (path: string) => string;
}) {
  const { player } = props;
  const storyboard = useMemo(
    () => new Storyboard(props.channel, props.address),
    [props.channel, props.address],
  );
  const looked = useSignal<number | null>(null);
  const dragged = useSignal<number | null>(null);
  const range = player.window.value;
  if (range === null || range.end - range.start < WORTH_S) return <span class="seek-room" />;
  const position = dragged.value ?? range.position;

  function look(event: PointerEvent & { readonly currentTarget: HTMLInputElement }) {
    if (range === null || event.pointerType === "touch") return;
    looked.value = positionUnder(event, range);
    storyboard.look(Date.now());
  }

  function drag(value: number) {
    dragged.value = value;
    looked.value = value;
    storyboard.look(Date.now());
  }

  function drop(value: number) {
    dragged.value = null;
    looked.value = null;
    player.seekTo(value);
  }

  function pressed(event: KeyboardEvent) {
    const target = keyTarget(event.key, range);
    if (target === null) return;
    event.preventDefault();
    player.seekTo(target);
  }

  const shown = looked.value;
  return (
    <div class="seek-place">
      {shown !== null && (
        <Preview player={player} range={range} position={shown} tile={tileOf(player, storyboard, shown)} />
      )}
      <input
        type="range"
        class="slider seek"
        aria-label="Position"
        aria-valuetext={sayPosition(player, range, position)}
        data-testid="seek"
        min={range.start}
        max={range.end}
        step="any"
        value={position}
        style={{ "--fill": `${100 * shareOf(position, range)}%` }}
        onInput={(event) => drag(Number(event.currentTarget.value))}
        onChange={(event) => drop(Number(event.currentTarget.value))}
        onPointerMove={look}
        onPointerLeave={() => {
          if (dragged.value === null) looked.value = null;
        }}
        onKeyDown={pressed}
      />
    </div>
  );
}

function tileOf(player: LivePlayer, storyboard: Storyboard, position: number): Tile | null {
  const time = player.mediaTimeAt(position);
  return time === null ? null : storyboard.at(time);
}

function shareOf(position: number, range: SeekWindow): number {
  return Math.min(1, Math.max(0, (position - range.start) / (range.end - range.start)));
}

/** The bar runs with the reading direction, between the two ends of the handle's way. */
function positionUnder(
  event: PointerEvent & { readonly currentTarget: HTMLInputElement },
  range: SeekWindow,
) {
  const box = event.currentTarget.getBoundingClientRect();
  const share = (event.clientX - box.left - HANDLE_PX) / (box.width - 2 * HANDLE_PX);
  const rightToLeft = getComputedStyle(event.currentTarget).direction === "rtl";
  const along = Math.min(1, Math.max(0, rightToLeft ? 1 - share : share));
  return range.start + along * (range.end - range.start);
}

function keyTarget(key: string, range: SeekWindow | null): number | null {
  if (range === null) return null;
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -STEP_S,
    ArrowDown: -STEP_S,
    ArrowRight: STEP_S,
    ArrowUp: STEP_S,
    PageDown: -PAGE_S,
    PageUp: PAGE_S,
  };
  if (key === "Home") return range.start;
  if (key === "End") return range.end;
  const step = steps[key];
  return step === undefined ? null : range.position + step;
}

function sayPosition(player: LivePlayer, range: SeekWindow, position: number): string {
  const clock = player.clockAt(position);
  const behind = range.end - position < LIVE_END_S ? "Live" : formatLatency(range.end - position);
  return clock === null ? behind : `${behind}, ${formatExactClock(clock)}`;
}

interface PreviewProps {
  readonly player: LivePlayer;
  readonly range: SeekWindow;
  readonly position: number;
  readonly tile: Tile | null;
}

/** What was on at a place of the bar, how long ago, and when exactly. */
function Preview(props: PreviewProps) {
  const { tile, range, position } = props;
  const clock = props.player.clockAt(position);
  const ago = range.end - position;
  return (
    <div
      class="seek-preview"
      style={{ "--share": String(shareOf(position, range)), "--width": `${tile?.width ?? 96}px` }}
      data-testid="seek-preview"
      aria-hidden="true"
    >
      {tile !== null && (
        <span
          class="seek-tile"
          data-testid="seek-tile"
          style={{
            inlineSize: `${tile.width}px`,
            blockSize: `${tile.height}px`,
            backgroundImage: `url("${tile.sheet}")`,
            backgroundPosition: `-${tile.x}px -${tile.y}px`,
          }}
        />
      )}
      <span class="seek-times number">
        <b>{ago < LIVE_END_S ? "Live" : `\u2212${formatDuration(ago)}`}</b>
        {clock !== null && <span>{formatExactClock(clock)}</span>}
      </span>
    </div>
  );
}
