import { useSignal } from "@preact/signals";
import type { Caption } from "../../player/picture";
import type { WatchSession } from "../../player/watch_session";
import { MutedIcon, PlayIcon } from "../../ui/icons";

interface OverlayProps {
  readonly session: WatchSession | null;
  /** Links leave the frame that the player is in. */
  readonly framed: boolean;
}

/** What the picture is doing, in words, or a quiet spinner where words would only flicker. */
export function Overlay(props: OverlayProps) {
  const { session } = props;
  const picture = session?.picture.value ?? null;
  const state = picture?.state ?? "starting";
  const busy = state === "starting" || state === "buffering" || state === "reconnecting";
  const waits = (session?.player.sound.blocked.value ?? false) || (session?.held.value ?? false);
  if (waits && busy) return null;
  const caption = picture?.caption ?? null;
  return (
    <div class="overlay" data-state={state} role="status">
      {busy && <span class="spinner" />}
      {caption !== null && (
        <div class="caption" data-testid="state-caption">
          <p class="caption-title">{caption.title}</p>
          <p>{caption.detail}</p>
          <Way caption={caption} session={session} framed={props.framed} />
        </div>
      )}
      {caption === null && busy && <span class="visually-hidden">Loading the picture</span>}
    </div>
  );
}

/** What the viewer can do. */
function Way(props: OverlayProps & { readonly caption: Caption }) {
  const { action } = props.caption;
  if (action === "home") {
    return (
      <a class="button" href="/" target={props.framed ? "_blank" : undefined} rel="noreferrer">
        See what is live
      </a>
    );
  }
  if (action === "sign_in") return <SignIn session={props.session} />;
  if (action !== "retry") return null;
  return (
    <button type="button" class="button" onClick={() => props.session?.tryAgain()}>
      Try again now
    </button>
  );
}

/** Takes the viewer's token: what they may watch goes by it. */
function SignIn(props: { readonly session: WatchSession | null }) {
  const token = useSignal("");
  return (
    <form
      class="sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.value.trim() !== "") props.session?.viewer.useToken(token.value.trim());
      }}
    >
      <label for="viewer-token">Your token</label>
      <input
        id="viewer-token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        data-testid="viewer-token"
        value={token.value}
        onInput={(event) => {
          token.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="button" disabled={token.value.trim() === ""}>
        Watch
      </button>
    </form>
  );
}

/** Ways out for browsers that refuse sound, or to start at all, and for pages that wait to be told. */
export function Sounding(props: { readonly session: WatchSession }) {
  const { session } = props;
  const { player } = session;
  const coming = session.news.value.status !== null && session.picture.value.state !== "offline";
  if ((session.held.value && coming) || player.sound.blocked.value) {
    return (
      <button
        type="button"
        class="big-play"
        aria-label="Play"
        data-testid="big-play"
        onClick={() => (session.held.value ? session.release() : player.resume())}
      >
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
