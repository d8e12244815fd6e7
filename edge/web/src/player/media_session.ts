import { pictureUrl, SIZES, thumbnailOf } from "../lib/thumbnail";
import type { LivePlayer } from "./live_player";

const STEP_S = 10;

/** Tells the system's own controls (lock screen, media keys) what plays. */
export function describeMedia(channel: string, title: string, nowMs: number): void {
  if (navigator.mediaSession === undefined) return;
  navigator.mediaSession.metadata = new MediaMetadata({
    title: title || channel,
    artist: channel,
    artwork: SIZES.map((size) => ({
      src: pictureUrl(thumbnailOf(channel), size, nowMs),
      sizes: `${size}x${Math.round((size * 9) / 16)}`,
      type: "image/webp",
    })),
  });
}

/** Lets the system's controls drive the player; the returned function ends that. */
export function handOver(player: LivePlayer): () => void {
  const session = navigator.mediaSession;
  if (session === undefined) return () => {};
  const handlers: readonly (readonly [MediaSessionAction, () => void])[] = [
    ["play", () => player.resume()],
    ["pause", () => player.pause()],
    ["seekbackward", () => player.seekBy(-STEP_S)],
    ["seekforward", () => player.seekBy(STEP_S)],
  ];
  for (const [action, work] of handlers) handle(session, action, work);
  return () => {
    for (const [action] of handlers) handle(session, action, null);
    session.metadata = null;
  };
}

/** Browsers refuse the actions they do not have. */
function handle(session: MediaSession, action: MediaSessionAction, work: (() => void) | null): void {
  try {
    session.setActionHandler(action, work);
  } catch {
    return;
  }
}
