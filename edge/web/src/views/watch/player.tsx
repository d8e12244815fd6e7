import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { thumbnailOf } from "../../lib/thumbnail";
import type { LivePlayer } from "../../player/live_player";
import { type Command, commandOf } from "../../player/shortcuts";
import type { WatchSession } from "../../player/watch_session";
import { ChannelArt } from "../../ui/channel_art";
import { MutedIcon, PlayIcon } from "../../ui/icons";
import { LivePicture } from "../../ui/live_picture";
import { Controls } from "./controls";
import { KeyHelp } from "./key_help";
import { toggleFull, togglePip } from "./screen";
import { Stats } from "./stats";
import { useChrome } from "./use_chrome";

interface PlayerProps {
  readonly channel: string;
  readonly video: RefObject<HTMLVideoElement | null>;
  readonly session: WatchSession | null;
  readonly theatre: boolean;
  readonly onTheatre: () => void;
}

/** The picture with everything on top of it. */
export function Player(props: PlayerProps) {
  const { session, video } = props;
  const frame = useRef<HTMLDivElement>(null);
  const stats = useSignal(false);
  const help = useSignal(false);
  const player = session?.player ?? null;
  const chrome = useChrome(frame, player);

  function act(command: Command) {
    if (command === "stats") stats.value = !stats.value;
    else if (command === "help") help.value = !help.value;
    else if (command === "theatre") props.onTheatre();
    else if (command === "full_screen") toggleFull(frame.current, video.current);
    else if (player !== null) drive(player, command);
  }

  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      const focus = document.activeElement?.tagName.toLowerCase() ?? "";
      const command = commandOf({ ...pick(event), focus });
      if (command === null) return;
      event.preventDefault();
      chrome.wake();
      act(command);
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });

  const picture = session?.picture.value ?? null;
  const shown = player?.shown.value ?? false;
  return (
    <div class="player" ref={frame} data-chrome={chrome.visible ? "shown" : "hidden"}>
      {/* biome-ignore lint/a11y/useMediaCaption: broadcasts carry no caption track */}
      <video
        ref={video}
        playsInline
        data-testid="video"
        aria-label={`Live picture of ${props.channel}`}
        onClick={() => player?.togglePlay()}
        onDblClick={() => act("full_screen")}
      />
      {!shown && <ChannelArt channel={props.channel} />}
      {!shown && isComing(picture) && (
        <LivePicture thumbnail={thumbnailOf(props.channel)} alt="" sizes="100vw" largest={1280} />
      )}
      <Overlay player={player} picture={picture} />
      {player !== null && <Sounding player={player} />}
      {player !== null && shown && (
        <Controls player={player} theatre={props.theatre} statsShown={stats.value} act={act} />
      )}
      {stats.value && player !== null && <Stats player={player} onClose={() => act("stats")} />}
      {help.value && <KeyHelp onClose={() => act("help")} />}
    </div>
  );
}

/** Whether a picture may be there to stand in for the first frame. */
function isComing(picture: OverlayProps["picture"]): boolean {
  return picture?.state !== "offline" && picture?.state !== "failed";
}

function pick(event: KeyboardEvent) {
  const { key, ctrlKey, metaKey, altKey } = event;
  return { key, ctrlKey, metaKey, altKey };
}

function drive(player: LivePlayer, command: Command): void {
  if (command === "toggle_play") player.togglePlay();
  else if (command === "back") player.seekBy(-10);
  else if (command === "forward") player.seekBy(10);
  else if (command === "step_back") player.seekBy(-5);
  else if (command === "step_forward") player.seekBy(5);
  else if (command === "louder") player.sound.setVolume(player.sound.volume.value + 0.05);
  else if (command === "quieter") player.sound.setVolume(player.sound.volume.value - 0.05);
  else if (command === "mute") player.sound.toggleMute();
  else if (command === "pip") void togglePip(player.video);
}

type OverlayProps = {
  readonly player: LivePlayer | null;
  readonly picture: WatchSession["picture"]["value"] | null;
};

/** What the picture is doing, in words, or a quiet spinner where words would only flicker. */
function Overlay(props: OverlayProps) {
  const { picture } = props;
  const state = picture?.state ?? "starting";
  const busy = state === "starting" || state === "buffering" || state === "reconnecting";
  const blocked = props.player?.sound.blocked.value ?? false;
  if (blocked && busy) return null;
  const caption = picture?.caption ?? null;
  return (
    <div class="overlay" data-state={state} role="status">
      {busy && <span class="spinner" />}
      {caption !== null && (
        <div class="caption" data-testid="state-caption">
          <p class="caption-title">{caption.title}</p>
          <p>{caption.detail}</p>
          {state === "failed" && (
            <a class="button" href="/">
              See what is live
            </a>
          )}
        </div>
      )}
      {caption === null && busy && <span class="visually-hidden">Loading the picture</span>}
    </div>
  );
}

/** Ways out for browsers that refuse sound, or to start at all. */
function Sounding(props: { readonly player: LivePlayer }) {
  const { player } = props;
  if (player.sound.blocked.value) {
    return (
      <button type="button" class="big-play" aria-label="Play" onClick={() => player.resume()}>
        <PlayIcon />
      </button>
    );
  }
  if (!player.sound.refused.value || !player.shown.value) return null;
  return (
    <button type="button" class="unmute" onClick={() => player.sound.toggleMute()}>
      <MutedIcon />
      Turn the sound on
    </button>
  );
}
