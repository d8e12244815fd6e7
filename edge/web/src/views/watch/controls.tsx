import { formatDuration, formatExactClock, formatLatency } from "../../lib/format";
import type { Captions } from "../../player/captions";
import type { LivePlayer } from "../../player/live_player";
import { levelLabel } from "../../player/quality";
import type { Command } from "../../player/shortcuts";
import type { WatchSession } from "../../player/watch_session";
import { IconButton } from "../../ui/icon_button";
import {
  CaptionsIcon,
  FullIcon,
  MutedIcon,
  PauseIcon,
  PipIcon,
  PlayIcon,
  SettingsIcon,
  SoundIcon,
  TheatreIcon,
} from "../../ui/icons";
import { hasPip } from "./screen";
import { SeekBar } from "./seek_bar";

interface ControlsProps {
  readonly channel: string;
  readonly session: WatchSession;
  readonly captions: Captions;
  /** Null where there is no theatre to go to. */
  readonly theatre: boolean | null;
  readonly settingsShown: boolean;
  readonly onSettings: () => void;
  readonly act: (command: Command) => void;
}

export function Controls(props: ControlsProps) {
  const { act } = props;
  const { player } = props.session;
  const paused = player.paused.value;
  return (
    <section class="controls" aria-label="Player controls">
      <SeekBar player={player} channel={props.channel} address={props.session.address} />
      <div class="control-row">
        <IconButton label={paused ? "Play" : "Pause"} shortcut="k" onClick={() => act("toggle_play")}>
          {paused ? <PlayIcon /> : <PauseIcon />}
        </IconButton>
        <Volume player={player} act={act} />
        <Live player={player} />
        <span class="control-gap" />
        {props.captions.offered.value && (
          <IconButton
            label="Captions"
            shortcut="c"
            pressed={player.preferences.captions.value}
            onClick={() => act("captions")}
          >
            <CaptionsIcon />
          </IconButton>
        )}
        <Settings {...props} />
        {hasPip() && !props.session.soundOnly.value && (
          <IconButton label="Picture in picture" shortcut="i" class="wide-only" onClick={() => act("pip")}>
            <PipIcon />
          </IconButton>
        )}
        {props.theatre !== null && (
          <IconButton
            label="Theatre"
            shortcut="t"
            pressed={props.theatre}
            class="desk-only"
            onClick={() => act("theatre")}
          >
            <TheatreIcon />
          </IconButton>
        )}
        <IconButton label="Full screen" shortcut="f" onClick={() => act("full_screen")}>
          <FullIcon />
        </IconButton>
      </div>
    </section>
  );
}

/** Opens the settings; says the quality that is shown, for it is what people look for there. */
function Settings(props: ControlsProps) {
  const { player } = props.session;
  const playing = player.levels.value[player.level.value];
  const label = playing === undefined || props.session.soundOnly.value ? "" : levelLabel(playing);
  return (
    <span data-settings>
      <IconButton
        label={label === "" ? "Settings" : `Settings, quality ${label}`}
        popup="dialog"
        expanded={props.settingsShown}
        testid="settings-button"
        class="settings-button"
        onClick={props.onSettings}
      >
        <SettingsIcon />
        {label !== "" && <span class="settings-quality number">{label}</span>}
      </IconButton>
    </span>
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

/** Whether this is live, the way there, and how far behind it is at what time of day. */
function Live(props: { readonly player: LivePlayer }) {
  const { player } = props;
  const latency = player.latency.value;
  const late = player.late.value;
  return (
    <span class="latency-group" data-late={late}>
      <button
        type="button"
        class="live-button"
        data-testid="go-live"
        data-late={late}
        aria-label={late ? "Go live" : "Live"}
        title={late ? "Go live" : "You are watching live"}
        onClick={() => player.goLive()}
      >
        Live
      </button>
      <span
        class="latency number"
        data-testid="latency"
        title={latency === null ? "" : formatLatency(latency)}
      >
        {latency !== null && <Where player={player} latency={latency} late={late} />}
      </span>
    </span>
  );
}

interface WhereProps {
  readonly player: LivePlayer;
  readonly latency: number;
  readonly late: boolean;
}

function Where(props: WhereProps) {
  const { player, latency, late } = props;
  if (!late) return <>{`${latency.toFixed(1)} s`}</>;
  // read for its change: the clock goes with the position
  const position = player.window.value?.position ?? player.video.currentTime;
  const clock = player.clockAt(position);
  return (
    <>
      {`\u2212${formatDuration(latency)}`}
      {clock !== null && <span class="latency-clock">{` · ${formatExactClock(clock)}`}</span>}
    </>
  );
}
