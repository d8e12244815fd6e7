import { useEffect } from "preact/hooks";
import { followLive, liveList } from "../api/live_feed";
import type { LiveList } from "../api/live_list";
import type { LiveChannel } from "../api/types";
import { formatClock, formatViewers } from "../lib/format";
import { ChannelArt } from "../ui/channel_art";
import { CopyButton } from "../ui/copy_button";
import { LiveBadge } from "../ui/live_badge";
import { LivePicture } from "../ui/live_picture";
import { Uptime } from "../ui/uptime";
import { CREATE_COMMAND, ingestAddress } from "./ingest";

const CARD_SIZES = "(max-width: 480px) 100vw, 340px";

export function Home() {
  useEffect(() => {
    document.title = "Live now · Nearcast";
    return followLive();
  }, []);
  const list = liveList.value;
  return (
    <div class="home">
      <div class="home-head">
        <h1>Live now</h1>
        <p class="home-count" aria-live="polite">
          {headline(list)}
        </p>
      </div>
      <Body list={list} />
    </div>
  );
}

function headline(list: LiveList): string {
  if (list.stale && list.updatedAt !== null) {
    return `Connection lost. This is from ${formatClock(list.updatedAt)}; it updates by itself.`;
  }
  if (list.phase !== "ready" || list.channels.length === 0) return "";
  const watching = list.channels.reduce((sum, channel) => sum + channel.viewers, 0);
  const channels = list.channels.length === 1 ? "1 channel" : `${list.channels.length} channels`;
  return `${channels}, ${formatViewers(watching)}`;
}

function Body(props: { readonly list: LiveList }) {
  const { list } = props;
  if (list.phase === "loading") return <Skeletons />;
  if (list.phase === "failed") return <Failed />;
  if (list.channels.length === 0) return <Empty />;
  return (
    <ul class="cards">
      {list.channels.map((channel) => (
        <li key={channel.channel}>
          <Card channel={channel} />
        </li>
      ))}
    </ul>
  );
}

function Card(props: { readonly channel: LiveChannel }) {
  const { channel } = props;
  return (
    <a class="card" href={`/${channel.channel}`} data-testid="channel-card">
      <span class="card-picture">
        <ChannelArt channel={channel.channel} />
        {channel.thumbnail !== "" && (
          <LivePicture
            thumbnail={channel.thumbnail}
            alt={`${channel.channel} just now`}
            sizes={CARD_SIZES}
            largest={640}
          />
        )}
        <LiveBadge state={channel.state} />
        {channel.height > 0 && <span class="card-size number">{channel.height}p</span>}
      </span>
      <span class="card-title" dir="auto">
        {channel.title || channel.channel}
      </span>
      {channel.title !== "" && <span class="card-channel">{channel.channel}</span>}
      <span class="card-facts">
        <span class="number">{formatViewers(channel.viewers)}</span>
        {channel.startedAt !== null && <Uptime since={channel.startedAt} />}
        {channel.category !== "" && <span dir="auto">{channel.category}</span>}
      </span>
    </a>
  );
}

function Skeletons() {
  return (
    <div class="cards" role="status" aria-busy="true" aria-label="Loading the live channels">
      {[0, 1, 2, 3].map((index) => (
        <div class="card skeleton" key={index}>
          <span class="card-picture" />
          <span class="bone wide" />
          <span class="bone" />
        </div>
      ))}
    </div>
  );
}

function Empty() {
  const server = ingestAddress();
  return (
    <section class="panel empty">
      <h2>Nobody is live right now</h2>
      <p>A channel appears here the moment its first picture arrives. To put one on air:</p>
      <ol class="brief-steps">
        <li>
          <p>Make a channel and get its stream key.</p>
          <Copyable text={CREATE_COMMAND} />
        </li>
        <li>
          <p>Stream to this server with that key, from OBS or any RTMP encoder.</p>
          <Copyable text={server} />
        </li>
      </ol>
      <a class="button" href="/studio">
        Encoder settings, step by step
      </a>
    </section>
  );
}

function Copyable(props: { readonly text: string }) {
  return (
    <span class="copyable">
      <code>{props.text}</code>
      <CopyButton text={() => props.text} label="Copy" />
    </span>
  );
}

function Failed() {
  return (
    <section class="panel empty" role="status">
      <h2>The list of channels could not be loaded</h2>
      <p>
        This server does not answer at the moment. The page keeps asking and fills in by itself. If you know a
        channel's name, its page at /name may still work.
      </p>
    </section>
  );
}
