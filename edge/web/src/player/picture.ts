import type { ChannelNews } from "../api/status_feed";
import type { Admitted, Refusal } from "./admission";

/** What the picture does, for the page's caption and for tests (`data-state` of the document). */
export type PictureState =
  | "locked"
  | "offline"
  | "starting"
  | "playing"
  | "buffering"
  | "reconnecting"
  | "failed";

export interface Caption {
  readonly title: string;
  readonly detail: string;
  /** What the viewer can do about it, as a button. */
  readonly action?: "retry" | "home" | "sign_in";
}

export interface Picture {
  readonly state: PictureState;
  /** What is said over the picture; null while it speaks for itself. */
  readonly caption: Caption | null;
}

export interface PictureInput {
  readonly channel: string;
  readonly news: ChannelNews;
  /** Frames are coming (or the viewer has paused a picture that would move). */
  readonly moving: boolean;
  /** A frame of this broadcast has been shown. */
  readonly shown: boolean;
  /** The player is loading its source again. */
  readonly recovering: boolean;
  /** The browser cannot play this. */
  readonly unsupported: boolean;
  /** The server takes no further viewers for now. */
  readonly full: boolean;
  readonly admitted: Admitted;
}

const STARTING: Caption = { title: "Starting", detail: "The first pictures are on their way." };

/** The one state that fits what is known, with its words. */
export function pictureOf(input: PictureInput): Picture {
  const { news } = input;
  if (news.phase === "unknown") return { state: "failed", caption: unknownChannel(input.channel) };
  const locked = lockOf(input);
  if (locked !== null) return { state: "locked", caption: locked };
  if (input.unsupported && news.status?.state !== "offline") return { state: "failed", caption: UNSUPPORTED };
  if (input.moving) return { state: "playing", caption: null };
  if (news.unreachable) return { state: "reconnecting", caption: UNREACHABLE };
  if (news.status === null) return { state: "starting", caption: null };
  if (news.status.state === "offline") return { state: "offline", caption: offline(input.channel) };
  if (news.status.state === "interrupted") return { state: "reconnecting", caption: INTERRUPTED };
  if (input.full) return { state: "reconnecting", caption: FULL };
  if (input.recovering) return { state: "reconnecting", caption: RECOVERING };
  if (news.status.state === "starting" || !input.shown) return { state: "starting", caption: STARTING };
  return { state: "buffering", caption: null };
}

/** Why this viewer may not watch; null when they may, or when it is not known yet. */
function lockOf({ channel, admitted, news }: PictureInput): Caption | null {
  if (admitted.phase !== "refused") return null;
  const whom = news.status?.access === "subscribers" ? "subscribers" : "followers";
  return LOCKS[admitted.why](channel, whom, admitted.detail);
}

const LOCKS: Readonly<Record<Refusal, (channel: string, whom: string, detail: string) => Caption>> = {
  no_token: (channel, whom) => ({
    title: `For ${whom} of ${channel}`,
    detail: "Sign in with your token to watch.",
    action: "sign_in",
  }),
  bad_token: (channel, whom) => ({
    title: "This token is not valid",
    detail: `Only ${whom} of ${channel} can watch. Check that all of your token was copied.`,
    action: "sign_in",
  }),
  followers: (channel) => ({
    title: `Follow ${channel} to watch`,
    detail: "This channel is for its followers. The picture starts by itself once you are one.",
  }),
  subscribers: (channel) => ({
    title: `Subscribe to ${channel} to watch`,
    detail: "This channel is for its subscribers. The picture starts by itself once you are one.",
  }),
  other: (channel, _whom, detail) => ({
    title: `You cannot watch ${channel}`,
    detail: detail || "The server refused without saying why.",
  }),
};

function unknownChannel(channel: string): Caption {
  return {
    title: `There is no channel called ${channel}`,
    detail: "Nobody has made one here by that name. Check the address, or pick a channel that is live now.",
    action: "home",
  };
}

function offline(channel: string): Caption {
  return {
    title: `${channel} is offline`,
    detail: "Nothing is on right now. Leave this page open: the picture starts by itself.",
  };
}

const UNSUPPORTED: Caption = {
  title: "This browser cannot play the stream",
  detail: "It lacks H.264 or Media Source support. Update it, or open this page in another browser.",
  action: "home",
};

const UNREACHABLE: Caption = {
  title: "Connecting again",
  detail: "The server does not answer. We keep asking; if this takes long, check your own connection.",
  action: "retry",
};

const INTERRUPTED: Caption = {
  title: "Waiting for the streamer",
  detail:
    "Nothing comes from them right now. The picture comes back by itself; there is nothing you need to do.",
};

const FULL: Caption = {
  title: "Full for the moment",
  detail: "This server has as many viewers as it can take. We keep asking: the picture starts by itself.",
};

const RECOVERING: Caption = {
  title: "Loading the stream again",
  detail: "Something broke on the way to you and we are fetching it anew. If it stays like this, try again.",
  action: "retry",
};
