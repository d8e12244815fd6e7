import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { exists, playlistPath, soundPath } from "../api/client";
import { type ChannelNews, followStatus, type StatusFeed } from "../api/status_feed";
import type { ChannelStatus } from "../api/types";
import { readPlayer } from "../quality/reading";
import { Reporter, run } from "../quality/reporter";
import { newViewId } from "../quality/view_id";
import { Admission, type Admitted, deskOf, grantLifeS, withPrefix } from "./admission";
import { LivePlayer, type Source } from "./live_player";
import { type Picture, pictureOf } from "./picture";
import { EARLY_S } from "./settings";
import type { StartAt } from "./start_at";
import { TracksWatch } from "./tracks";

/** Ahead of its use: an offline channel's page must not miss it when the server has newer files by then. */
function fetchEngine(): void {
  import("./hls_engine").catch(() => {});
}

/** How a page wants its channel played. */
export interface WatchWish {
  /** False: nothing is loaded until the viewer says so. */
  readonly autoplay: boolean;
  readonly muted: boolean;
  readonly start: StartAt | null;
}

/** By which token somebody watches what is not for everybody. */
export interface Viewer {
  readonly token: ReadonlySignal<string | null>;
  useToken(token: string | null): void;
}

export const AT_ONCE: WatchWish = { autoplay: true, muted: false, start: null };

/** One channel being watched: its status decides what the player does. */
export class WatchSession {
  readonly player: LivePlayer;
  readonly picture: ReadonlySignal<Picture>;
  readonly news: ReadonlySignal<ChannelNews>;
  /** Whether this viewer may watch. */
  readonly admitted: ReadonlySignal<Admitted>;
  /** The viewer has yet to say that it may begin. */
  readonly held: ReadonlySignal<boolean>;
  /** Only the sound is played. */
  readonly soundOnly: ReadonlySignal<boolean>;
  /** Whether the sound alone is to be had; null until somebody wanted to know. */
  readonly soundOffered: ReadonlySignal<boolean | null>;
  /** Where something of the channel is to be had by this viewer. */
  readonly address = (path: string): string => {
    const admitted = this.admitted.value;
    return withPrefix(path, admitted.phase === "admitted" ? admitted.prefix : "");
  };
  private readonly feed: StatusFeed;
  private readonly admission: Admission;
  private readonly stops: readonly (() => void)[];
  private readonly session = newViewId();
  private readonly holds = signal(false);
  private readonly sound = signal(false);
  private readonly offered = signal<boolean | null>(null);
  private readonly tracks = new TracksWatch();
  private streamId: string | null = null;
  private start: StartAt | null;

  constructor(
    private readonly channel: string,
    video: HTMLVideoElement,
    readonly viewer: Viewer,
    wish: WatchWish = AT_ONCE,
  ) {
    this.player = new LivePlayer(video);
    if (wish.muted) video.muted = true;
    this.holds.value = !wish.autoplay;
    this.start = wish.start;
    this.held = this.holds;
    this.soundOnly = this.sound;
    this.soundOffered = this.offered;
    fetchEngine();
    this.feed = followStatus(channel);
    this.news = this.feed.news;
    this.admission = new Admission(viewer.token, deskOf(channel, grantLifeS()));
    this.admitted = this.admission.state;
    this.picture = computed(() => this.read());
    const { journal } = this.player;
    const reporter = new Reporter({ session: this.session, channel, journal, read: () => this.reading() });
    this.stops = [
      run(reporter),
      effect(() => {
        const { status } = this.feed.news.value;
        if (status !== null) untracked(() => this.admission.need(status.access));
      }),
      effect(() => {
        if (this.player.recovering.value) untracked(() => this.admission.check());
      }),
      effect(() =>
        this.obey(
          this.feed.news.value,
          this.player.moving.value,
          this.holds.value,
          this.admitted.value.phase === "admitted",
        ),
      ),
      effect(() => {
        document.documentElement.dataset.state = this.picture.value.state;
      }),
      effect(() => {
        const stuck = this.player.recovering.value || (this.player.shown.value && !this.player.moving.value);
        untracked(() => this.feed.urgent(stuck));
      }),
      whenOnline(() => {
        this.feed.askNow();
        this.player.hurry();
      }),
    ];
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.feed.close();
    this.admission.close();
    this.player.destroy();
    delete document.documentElement.dataset.state;
  }

  /** The viewer says that it may begin. */
  release(): void {
    this.holds.value = false;
  }

  /** Asks the server and the source again, now. */
  tryAgain(): void {
    this.feed.askNow();
    this.player.hurry();
  }

  /** Finds out whether the sound can be had alone. */
  async askForSound(): Promise<void> {
    const { streamId } = this;
    if (streamId === null || this.offered.value !== null) return;
    const found = await exists(this.address(soundPath(this.channel)));
    if (streamId === this.streamId) this.offered.value = found;
  }

  /** Plays the sound alone, or the picture again, from the same place. */
  listen(soundOnly: boolean): void {
    if (soundOnly === this.sound.value) return;
    this.sound.value = soundOnly;
    this.reload();
  }

  /** Plays by WebRTC where that is offered, or by HLS. */
  useLowestDelay(on: boolean): void {
    this.player.preferences.setLowestDelay(on);
    this.reload();
  }

  private reload(): void {
    const { status } = this.news.value;
    if (this.player.playing && status !== null) this.begin(status, this.player.place());
  }

  private reading() {
    return readPlayer(this.player, this.news.value, this.streamId, this.sound.value);
  }

  private read(): Picture {
    const { player } = this;
    return pictureOf({
      channel: this.channel,
      news: this.feed.news.value,
      moving: player.moving.value,
      shown: player.shown.value,
      recovering: player.recovering.value,
      unsupported: player.unsupported.value,
      full: player.full.value,
      admitted: this.admitted.value,
    });
  }

  private obey(news: ChannelNews, moving: boolean, held: boolean, admitted: boolean): void {
    untracked(() => {
      if (!admitted) this.player.stop();
      else if (news.status !== null) this.follow(news.status, news.unreachable, moving, held);
      else if (news.phase === "unknown") this.player.stop();
    });
  }

  private follow(status: ChannelStatus, unreachable: boolean, moving: boolean, held: boolean): void {
    const on = status.state === "live" || status.state === "starting";
    this.player.expect(on && !unreachable);
    if (status.state === "offline" && !moving) {
      this.player.stop();
      this.sound.value = false;
    }
    if (!on || held) return;
    if (this.player.playing && status.streamId === this.streamId) {
      if (this.tracks.changed(status)) this.reload();
      return;
    }
    this.tracks.reset();
    this.tracks.changed(status);
    this.offered.value = null;
    this.streamId = status.streamId;
    this.begin(status, this.start);
    this.start = null;
  }

  private begin(status: ChannelStatus, start: StartAt | null): void {
    const soundOnly = this.sound.value;
    const source: Source = {
      url: soundOnly ? soundPath(this.channel) : playlistPath(this.channel),
      partTargetS: status.partTargetS,
      whepUrl: soundOnly || status.whepUrl === null ? null : withSession(status.whepUrl, this.session),
      earlyUntil: (status.startedAt ?? 0) + EARLY_S * 1000,
      ...(status.access === "public" ? {} : { readdress: this.address }),
    };
    this.player.play(source, start);
  }
}

/** The address with the id that this viewer reports under (CTA-5004, sid): so they are counted once. */
function withSession(url: string, session: string): string {
  return `${url}?CMCD=${encodeURIComponent(`sid="${session}"`)}`;
}

function whenOnline(work: () => void): () => void {
  window.addEventListener("online", work);
  return () => window.removeEventListener("online", work);
}
