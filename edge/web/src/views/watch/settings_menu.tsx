import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { FARTHEST_S } from "../../player/preferences";
import { qualityChoices } from "../../player/quality";
import { leastLatencyS } from "../../player/settings";
import type { Command } from "../../player/shortcuts";
import type { WatchSession } from "../../player/watch_session";
import { IconButton } from "../../ui/icon_button";
import { CloseIcon, HelpIcon, StatsIcon } from "../../ui/icons";
import { Switch } from "../../ui/switch";

const STEP_S = 0.1;

interface SettingsProps {
  readonly session: WatchSession;
  readonly act: (command: Command) => void;
  readonly onClose: () => void;
}

/** Everything about how to play. Closes by Escape, by a press beside it, and when the focus goes elsewhere. */
export function SettingsMenu(props: SettingsProps) {
  const { session, onClose } = props;
  const sheet = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const before = document.activeElement;
    sheet.current?.querySelector<HTMLElement>("select, input, button")?.focus();
    void session.askForSound();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, [session]);

  useEffect(() => {
    function pressed(event: PointerEvent) {
      const target = event.target instanceof Element ? event.target : null;
      if (target?.closest("[data-settings]") === null) onClose();
    }
    function typed(event: KeyboardEvent) {
      if (event.key === "Escape") onClose();
    }
    document.addEventListener("pointerdown", pressed);
    document.addEventListener("keydown", typed);
    return () => {
      document.removeEventListener("pointerdown", pressed);
      document.removeEventListener("keydown", typed);
    };
  }, [onClose]);

  return (
    <div
      ref={sheet}
      class="sheet settings"
      role="dialog"
      aria-label="Settings"
      data-settings
      data-testid="settings"
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (next instanceof Element && next.closest("[data-settings]") === null) onClose();
      }}
    >
      <div class="sheet-head">
        <h2>Settings</h2>
        <IconButton label="Close settings" onClick={onClose}>
          <CloseIcon />
        </IconButton>
      </div>
      <Quality session={session} />
      <Latency session={session} />
      <LowestDelay session={session} />
      <SoundOnly session={session} />
      <More act={props.act} onClose={onClose} />
    </div>
  );
}

type Part = { readonly session: WatchSession };

/** The browser's own menu: it works with every keyboard, screen reader and finger. */
function Quality(props: Part) {
  const { player } = props.session;
  const levels = player.levels.value;
  if (levels.length === 0 || props.session.soundOnly.value) return null;
  return (
    <label class="setting">
      <span>Quality</span>
      <select
        data-testid="quality-menu"
        value={String(player.chosenLevel.value)}
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

/** Low latency on or off, and how close to live. */
function Latency(props: Part) {
  const { player, news } = props.session;
  const moving = useSignal<number | null>(null);
  const { lowLatency, targetS } = player.preferences.closeness.value;
  if (player.engineName.value === "whep") return null;
  const least = Math.ceil(leastLatencyS(news.value.status?.partTargetS ?? null) * 10) / 10;
  const shown = moving.value ?? Math.max(least, targetS ?? least);

  function choose(value: number) {
    moving.value = null;
    player.preferences.setTarget(value <= least + STEP_S / 2 ? null : value);
  }

  return (
    <>
      <Switch
        label="Low latency"
        hint={lowLatency ? "" : "Off: further behind live, and steadier on a poor line."}
        on={lowLatency}
        testid="low-latency"
        onChange={(on) => player.preferences.setLowLatency(on)}
      />
      {lowLatency && (
        <label class="setting column">
          <span class="setting-line">
            <span>How close to live</span>
            <span class="number" aria-hidden="true">{`${shown.toFixed(1)} s behind`}</span>
          </span>
          <input
            type="range"
            class="slider"
            data-testid="closeness"
            min={least}
            max={FARTHEST_S}
            step={STEP_S}
            value={shown}
            aria-valuetext={`${shown.toFixed(1)} seconds behind live`}
            style={{ "--fill": `${(100 * (shown - least)) / (FARTHEST_S - least)}%` }}
            onInput={(event) => {
              moving.value = Number(event.currentTarget.value);
            }}
            onChange={(event) => choose(Number(event.currentTarget.value))}
          />
          <span class="setting-ends" aria-hidden="true">
            <span>Closest</span>
            <span>Steadiest</span>
          </span>
        </label>
      )}
    </>
  );
}

function LowestDelay(props: Part) {
  const { session } = props;
  const on = session.player.preferences.lowestDelay.value;
  if (session.news.value.status?.whepUrl == null || session.soundOnly.value) return null;
  const plays = session.player.engineName.value === "whep";
  return (
    <Switch
      label="Lowest delay"
      hint={on && !plays ? "Not to be had right now; playing the usual way." : "By WebRTC. No rewinding."}
      on={on}
      testid="lowest-delay"
      onChange={(next) => session.useLowestDelay(next)}
    />
  );
}

function SoundOnly(props: Part) {
  const { session } = props;
  if (session.soundOffered.value !== true) return null;
  return (
    <Switch
      label="Sound only"
      hint="Saves data and battery."
      on={session.soundOnly.value}
      testid="sound-only"
      onChange={(on) => session.listen(on)}
    />
  );
}

function More(props: { readonly act: (command: Command) => void; readonly onClose: () => void }) {
  function open(command: Command) {
    props.onClose();
    props.act(command);
  }
  return (
    <div class="setting-more">
      <button type="button" class="button quiet" onClick={() => open("stats")}>
        <StatsIcon />
        Stats
      </button>
      <button type="button" class="button quiet" onClick={() => open("help")}>
        <HelpIcon />
        Keys
      </button>
    </div>
  );
}
