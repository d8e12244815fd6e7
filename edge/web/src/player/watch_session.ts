import { computed, effect, type ReadonlySignal, untracked } from "@preact/signals";
import { playlistPath } from "../api/client";
import { type ChannelNews, followStatus, type StatusFeed } from "../api/status_feed";
import type { ChannelStatus } from "../api/types";
import { LivePlayer } from "./live_player";
import { type Picture, pictureOf } from "./picture";

/** Ahead of its use: an offline channel's page must not miss it when the server has newer files by then. */
function fetchEngine(): void {
  import("./hls_engine").catch(() => {});
}

/** One channel being watched: its status decides what the player does. */
export class WatchSession {
  readonly player: LivePlayer;
  readonly picture: ReadonlySignal<Picture>;
  readonly news: ReadonlySignal<ChannelNews>;
  private readonly feed: StatusFeed;
  private readonly stops: readonly (() => void)[];
  private streamId: string | null = null;

  constructor(
    private readonly channel: string,
    video: HTMLVideoElement,
  ) {
    this.player = new LivePlayer(video);
    fetchEngine();
    this.feed = followStatus(channel);
    this.news = this.feed.news;
    this.picture = computed(() => this.read());
    this.stops = [
      effect(() => this.obey(this.feed.news.value, this.player.moving.value)),
      effect(() => {
        document.documentElement.dataset.state = this.picture.value.state;
      }),
      effect(() => {
        const stuck = this.player.recovering.value || (this.player.shown.value && !this.player.moving.value);
        if (stuck) untracked(() => this.feed.askNow());
      }),
    ];
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.feed.close();
    this.player.destroy();
    delete document.documentElement.dataset.state;
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
    });
  }

  private obey(news: ChannelNews, moving: boolean): void {
    const { status } = news;
    untracked(() => {
      if (status !== null) this.follow(status, moving);
      else if (news.phase === "unknown") this.player.stop();
    });
  }

  private follow(status: ChannelStatus, moving: boolean): void {
    const on = status.state === "live" || status.state === "starting";
    this.player.expect(on);
    if (status.state === "offline" && !moving) {
      this.player.stop();
      this.streamId = null;
    }
    if (!on || (this.player.playing && status.streamId === this.streamId)) return;
    this.streamId = status.streamId;
    this.player.play({ url: playlistPath(this.channel), partTargetS: status.partTargetS });
  }
}
