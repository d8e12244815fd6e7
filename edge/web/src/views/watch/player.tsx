import { useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";
import { thumbnailOf } from "../../lib/thumbnail";
import { Captions } from "../../player/captions";
import type { LivePlayer } from "../../player/live_player";
import { describeMedia, handOver } from "../../player/media_session";
import type { PictureState } from "../../player/picture";
import { type Command, commandOf, focusOf } from "../../player/shortcuts";
import type { WatchSession } from "../../player/watch_session";
import { ChannelArt } from "../../ui/channel_art";
import { LivePicture } from "../../ui/live_picture";
import { Controls } from "./controls";
import { KeyHelp } from "./key_help";
import { Listening } from "./listening";
import { Overlay, Sounding } from "./overlay";
import { toggleFull, togglePip } from "./screen";
import { SettingsMenu } from "./settings_menu";
import { Stats } from "./stats";
import { useChrome } from "./use_chrome";

interface PlayerProps {
  readonly channel: string;
  readonly video: RefObject<HTMLVideoElement | null>;
  readonly session: WatchSession | null;
  /** Null where there is no theatre to go to. */
  readonly theatre: boolean | null;
  readonly onTheatre: () => void;
  /** On another site: links leave the frame. */
  readonly framed?: boolean;
  /** Above the picture, seen with the controls. */
  readonly head?: ComponentChildren;
}

/** The picture with everything on top of it. */
export function Player(props: PlayerProps) {
  const { session, video, channel, framed = false } = props;
  const frame = useRef<HTMLDivElement>(null);
  const stats = useSignal(false);
  const help = useSignal(false);
  const settings = useSignal(false);
  const player = session?.player ?? null;
  const captions = useCaptions(player);
  const chrome = useChrome(frame, player, settings.value);
  const closeSettings = useCallback(() => {
    settings.value = false;
  }, [settings]);
  useMedia(channel, session);

  function act(command: Command) {
    if (command === "stats") stats.value = !stats.value;
    else if (command === "help") help.value = !help.value;
    else if (command === "theatre") props.onTheatre();
    else if (command === "captions") captions?.toggle();
    else if (command === "full_screen") toggleFull(frame.current, video.current);
    else if (player !== null) drive(player, command);
  }

  useKeys((command) => {
    chrome.wake();
    act(command);
  });

  const state = session?.picture.value.state ?? null;
  const shown = player?.shown.value ?? false;
  const listening = (session?.soundOnly.value ?? false) && shown;
  return (
    <div class="player" ref={frame} data-chrome={chrome.visible ? "shown" : "hidden"}>
      {/* biome-ignore lint/a11y/useMediaCaption: captions come with the broadcast, where it has any */}
      <video
        ref={video}
        playsInline
        data-testid="video"
        aria-label={`Live picture of ${channel}`}
        onClick={(event) => {
          if (isTouch(event)) chrome.toggle();
          else player?.togglePlay();
        }}
        onDblClick={() => act("full_screen")}
      />
      {!shown && <Poster channel={channel} state={state} session={session} />}
      {listening && session !== null && (
        <Listening
          channel={channel}
          thumbnail={session.address(thumbnailOf(channel))}
          title={session.news.value.status?.title ?? ""}
          onEnd={() => session.listen(false)}
        />
      )}
      <Overlay session={session} framed={framed} />
      {props.head !== undefined && <div class="player-head">{props.head}</div>}
      {session !== null && <Sounding session={session} />}
      {session !== null && captions !== null && shown && (
        <Controls
          channel={channel}
          session={session}
          captions={captions}
          theatre={props.theatre}
          settingsShown={settings.value}
          onSettings={() => {
            settings.value = !settings.value;
          }}
          act={act}
        />
      )}
      {settings.value && session !== null && (
        <SettingsMenu session={session} act={act} onClose={closeSettings} />
      )}
      {stats.value && player !== null && <Stats player={player} onClose={() => act("stats")} />}
      {help.value && <KeyHelp onClose={() => act("help")} />}
    </div>
  );
}

/** Stands in for the first frame: the channel's art, and its newest picture where there may be one. */
function Poster(props: {
  readonly channel: string;
  readonly state: PictureState | null;
  readonly session: WatchSession | null;
}) {
  const { session } = props;
  const coming =
    props.state !== "offline" && props.state !== "failed" && session?.admitted.value.phase === "admitted";
  return (
    <>
      <ChannelArt channel={props.channel} />
      {coming && (
        <LivePicture
          thumbnail={session.address(thumbnailOf(props.channel))}
          alt=""
          sizes="100vw"
          largest={1280}
        />
      )}
    </>
  );
}

function isTouch(event: object): boolean {
  return "pointerType" in event && event.pointerType === "touch";
}

function useCaptions(player: LivePlayer | null): Captions | null {
  const made = useMemo(() => {
    if (player === null) return null;
    const leave = new AbortController();
    return { captions: new Captions(player.video, player.preferences, leave.signal), leave };
  }, [player]);
  useEffect(() => () => made?.leave.abort(), [made]);
  return made?.captions ?? null;
}

/** The system's own controls know what plays, and drive it. */
function useMedia(channel: string, session: WatchSession | null): void {
  const shown = session?.player.shown.value ?? false;
  const title = session?.news.value.status?.title ?? "";
  useEffect(() => {
    if (shown) describeMedia(channel, title, Date.now());
  }, [channel, title, shown]);
  useEffect(() => (session === null ? undefined : handOver(session.player)), [session]);
}

function useKeys(obey: (command: Command) => void): void {
  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      const { key, ctrlKey, metaKey, altKey } = event;
      const focus = focusOf(document.activeElement);
      const command = event.defaultPrevented ? null : commandOf({ key, ctrlKey, metaKey, altKey, focus });
      if (command === null) return;
      event.preventDefault();
      obey(command);
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
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
