import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatBitrate } from "../../lib/format";
import type { LivePlayer } from "../../player/live_player";
import { levelLabel } from "../../player/quality";
import { CopyButton } from "../../ui/copy_button";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon } from "../../ui/icons";

const REFRESH_MS = 500;

type Row = readonly [name: string, value: string];

/** The player's insides, for whoever has to find out why a picture stutters. */
export function Stats(props: { readonly player: LivePlayer; readonly onClose: () => void }) {
  const rows = useSignal<readonly Row[]>([]);
  useEffect(() => {
    const read = () => {
      rows.value = rowsOf(props.player);
    };
    read();
    const timer = setInterval(read, REFRESH_MS);
    return () => clearInterval(timer);
  }, [props.player, rows]);
  return (
    <section class="sheet stats" aria-label="Stats" data-testid="stats">
      <dl>
        {rows.value.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="number">{value}</dd>
          </div>
        ))}
      </dl>
      <div class="sheet-foot">
        <CopyButton text={() => asText(rows.value)} label="Copy" />
        <IconButton label="Close" onClick={props.onClose}>
          <CloseIcon />
        </IconButton>
      </div>
    </section>
  );
}

function asText(rows: readonly Row[]): string {
  return rows.map(([name, value]) => `${name}: ${value}`).join("\n");
}

function seconds(value: number | null | undefined): string {
  return value === null || value === undefined ? "unknown" : `${value.toFixed(2)} s`;
}

function rowsOf(player: LivePlayer): readonly Row[] {
  const { video } = player;
  const stats = player.stats();
  const frames = video.getVideoPlaybackQuality();
  const level = player.levels.value[player.level.value];
  const figures = player.journal.figures(Date.now());
  const clock = player.clockAt(video.currentTime);
  return [
    ["Latency", seconds(player.latency.value)],
    ["Buffer", seconds(player.bufferAhead())],
    ["Picture", `${video.videoWidth} x ${video.videoHeight}`],
    ["Level", level === undefined ? "unknown" : `${levelLabel(level)}, ${formatBitrate(level.bitrate)}`],
    ["Bandwidth", stats?.bandwidth == null ? "unknown" : formatBitrate(stats.bandwidth)],
    ["Dropped frames", `${frames.droppedVideoFrames} of ${frames.totalVideoFrames}`],
    ["Stalls", `${figures.stalls}, ${(figures.stallMs / 1000).toFixed(1)} s`],
    ["First frame after", figures.startupMs === null ? "unknown" : seconds(figures.startupMs / 1000)],
    ["Quality changes", String(figures.switches)],
    ["Picture of", clock === null ? "unknown" : new Date(clock).toISOString()],
    ["Playback rate", `${video.playbackRate.toFixed(2)}`],
    ["Part target", seconds(stats?.partTargetS)],
    ["Target duration", seconds(stats?.targetDurationS)],
    ["Playlist", stats?.playlist ?? "unknown"],
    ["Codecs", stats?.codecs || "unknown"],
    ["Engine", stats?.engine ?? "none"],
  ];
}
