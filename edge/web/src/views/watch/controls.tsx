import { formatLatency } from "../../lib/format";
import { OFFER_LIVE_S } from "../../player/latency";
import type { LivePlayer } from "../../player/live_player";
import { levelLabel, qualityChoices } from "../../player/quality";
import type { Command } from "../../player/shortcuts";
import { IconButton } from "../../ui/icon_button";
import {
  FullIcon,
  HelpIcon,
  MutedIcon,
  PauseIcon,
  PipIcon,
  PlayIcon,
  SoundIcon,
  StatsIcon,
  TheatreIcon,
} from "../../ui/icons";
import { hasPip } from "./screen";

interface ControlsProps {
  readonly player: LivePlayer;
  readonly theatre: boolean;
  readonly statsShown: boolean;
  readonly act: (command: Command) => void;
}

export function Controls(props: ControlsProps) {
  const { player, act } = props;
  const paused = player.paused.value;
  return (
    <section class="controls" aria-label="Player controls">
      <SeekBar player={player} />
      <div class="control-row">
        <IconButton label={paused ? "Play" : "Pause"} shortcut="k" onClick={() => act("toggle_play")}>
          {paused ? <PlayIcon /> : <PauseIcon />}
        </IconButton>
        <Volume player={player} act={act} />
        <Latency player={player} />
        <span class="control-gap" />
        <Quality player={player} />
        <IconButton
          label="Stats"
          shortcut="s"
          pressed={props.statsShown}
          class="wide-only"
          onClick={() => act("stats")}
        >
          <StatsIcon />
        </IconButton>
        <IconButton label="Keyboard shortcuts" shortcut="?" class="wide-only" onClick={() => act("help")}>
          <HelpIcon />
        </IconButton>
        {hasPip() && (
          <IconButton label="Picture in picture" shortcut="i" class="wide-only" onClick={() => act("pip")}>
            <PipIcon />
          </IconButton>
        )}
        <IconButton
          label="Theatre"
          shortcut="t"
          pressed={props.theatre}
          class="desk-only"
          onClick={() => act("theatre")}
        >
          <TheatreIcon />
        </IconButton>
        <IconButton label="Full screen" shortcut="f" onClick={() => act("full_screen")}>
          <FullIcon />
        </IconButton>
      </div>
    </section>
  );
}

function Volume(props: { readonly player: LivePlayer; readonly act: (command: Command) => void }) {
  const { sound } = props.player;
  const muted = sound.muted.value || sound.volume.value === 0;
  return (
    <span class="volume">
      <IconButton label={muted ? "Sound on" : "Sound off"} shortcut="m" onClick={() => props.act("mute")}>
        {muted ? <MutedIcon /> : <SoundIcon />}
      </IconButton>
      <input
        type="range"
        class="slider"
        aria-label="Volume"
        min="0"
        max="1"
        step="0.05"
        value={muted ? 0 : sound.volume.value}
        style={{ "--fill": `${(muted ? 0 : sound.volume.value) * 100}%` }}
        onInput={(event) => sound.setVolume(Number(event.currentTarget.value))}
      />
    </span>
  );
}

function Latency(props: { readonly player: LivePlayer }) {
  const { player } = props;
  const latency = player.latency.value;
  const late = latency !== null && (latency > OFFER_LIVE_S || player.behind.value);
  return (
    <span class="latency-group">
      <span class="latency number" data-testid="latency" data-late={late}>
        {latency === null ? "" : formatLatency(latency)}
      </span>
      {late && (
        <button type="button" class="button go-live" data-testid="go-live" onClick={() => player.goLive()}>
          Go live
        </button>
      )}
    </span>
  );
}

/** The browser's own menu: it works with every keyboard, screen reader and finger. */
function Quality(props: { readonly player: LivePlayer }) {
  const { player } = props;
  const levels = player.levels.value;
  if (levels.length === 0) return null;
  const chosen = player.chosenLevel.value;
  const playing = levels[player.level.value];
  const shown = playing === undefined ? "Auto" : levelLabel(playing);
  return (
    <label class="quality" title="Quality">
      <span class="visually-hidden">Quality</span>
      <span class="quality-shown" aria-hidden="true">
        {chosen < 0 ? <small>Auto</small> : null} {shown}
      </span>
      <select
        data-testid="quality-menu"
        value={String(chosen)}
        onChange={(event) => player.chooseLevel(Number(event.currentTarget.value))}
      >
        {qualityChoices(levels, player.level.value).map((choice) => (
          <option key={choice.index} value={String(choice.index)}>
            {choice.detail === "" ? choice.label : `${choice.label} (${choice.detail})`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The part of the broadcast that can still be seen; the end is live. */
function SeekBar(props: { readonly player: LivePlayer }) {
  const { player } = props;
  const range = player.window.value;
  if (range === null || range.end - range.start < 8) return <span class="seek-room" />;
  const share = (range.position - range.start) / (range.end - range.start);
  return (
    <input
      type="range"
      class="slider seek"
      aria-label="Position"
      aria-valuetext={formatLatency(player.latency.value ?? 0)}
      min={range.start}
      max={range.end}
      step="any"
      value={range.position}
      style={{ "--fill": `${Math.min(100, share * 100)}%` }}
      onChange={(event) => player.seekTo(Number(event.currentTarget.value))}
    />
  );
}
