import "../styles/studio.css";
import "../styles/health.css";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ChannelNews, followStatus } from "../api/status_feed";
import { formatViewers } from "../lib/format";
import { readSetting, writeSetting } from "../lib/storage";
import { CopyButton } from "../ui/copy_button";
import { LiveBadge } from "../ui/live_badge";
import { Uptime } from "../ui/uptime";
import { CREATE_COMMAND, ingestAddress } from "./ingest";
import { HealthPanel } from "./studio/health_panel";

const SETTINGS: readonly (readonly [name: string, value: string, why: string])[] = [
  ["Encoder", "x264, or NVENC H.264", "every browser plays H.264"],
  ["Rate control", "CBR", "an even load is what live viewers' networks carry best"],
  ["Bitrate", "6000 kbit/s", "for 1080p60; 3000 for 720p30"],
  ["Keyframe interval", "2 s", "not 0 or auto: each segment starts with a key frame"],
  ["Profile", "high", ""],
  ["B-frames", "0 to 2", "fewer is quicker"],
  ["Audio", "AAC, 160 kbit/s, 48 kHz", ""],
];

export function Studio() {
  useEffect(() => {
    document.title = "Go live · Nearcast";
  }, []);
  const server = ingestAddress();
  return (
    <div class="studio">
      <h1>Go live</h1>
      <p class="lead">
        Three steps with OBS Studio. Any encoder that speaks RTMP with H.264 and AAC works the same way.
      </p>
      <ol class="steps">
        <li>
          <h2>Get a stream key</h2>
          <p>On the machine that runs this server. The key is shown once: keep it, and keep it secret.</p>
          <p class="copyable">
            <code>{CREATE_COMMAND}</code>
            <CopyButton text={() => CREATE_COMMAND} label="Copy" />
          </p>
        </li>
        <li>
          <h2>Set up OBS</h2>
          <p>Settings, Stream: service Custom, this server, and your stream key.</p>
          <p class="copyable">
            <code>{server}</code>
            <CopyButton text={() => server} label="Copy" />
          </p>
          <p>Settings, Output, with the output mode Advanced:</p>
          <table>
            <tbody>
              {SETTINGS.map(([name, value, why]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{value}</td>
                  <td class="why">{why}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </li>
        <li>
          <h2>Start streaming</h2>
          <p>Type your channel's name. This fills in when the first picture arrives.</p>
          <Monitor />
        </li>
      </ol>
    </div>
  );
}

function Monitor() {
  const name = useSignal(readSetting("studio-channel") ?? "");
  const wanted = name.value.trim().toLowerCase();
  return (
    <div class="monitor">
      <label for="studio-channel">Channel</label>
      <input
        id="studio-channel"
        value={name.value}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        placeholder="my-channel"
        onInput={(event) => {
          name.value = event.currentTarget.value;
          writeSetting("studio-channel", event.currentTarget.value);
        }}
      />
      {wanted !== "" && <Watched key={wanted} channel={wanted} />}
      {wanted !== "" && <HealthPanel key={`health ${wanted}`} channel={wanted} />}
    </div>
  );
}

/** The state of a channel; asking starts when the typing has paused. */
function Watched(props: { readonly channel: string }) {
  const news = useSignal<ChannelNews | null>(null);
  useEffect(() => {
    let close = () => {};
    const timer = setTimeout(() => {
      const feed = followStatus(props.channel);
      const stop = feed.news.subscribe((value) => {
        news.value = value;
      });
      close = () => {
        stop();
        feed.close();
      };
    }, 400);
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [props.channel, news]);
  return (
    <div class="monitor-state" role="status">
      <Verdict news={news.value} channel={props.channel} />
    </div>
  );
}

function Verdict(props: { readonly news: ChannelNews | null; readonly channel: string }) {
  const { news, channel } = props;
  if (news === null || (news.phase === "loading" && !news.unreachable)) return <p>Asking the server</p>;
  if (news.phase === "unknown") return <p>There is no channel called {channel} here. Step 1 makes one.</p>;
  if (news.status === null || news.unreachable) return <p>The server does not answer. We keep asking.</p>;
  const { status } = news;
  if (status.state === "offline") return <p>Waiting for your encoder. Nothing has arrived yet.</p>;
  return (
    <>
      <p class="monitor-facts">
        <LiveBadge state={status.state} />
        <span class="number">{formatViewers(status.viewers)}</span>
        {status.startedAt !== null && <Uptime since={status.startedAt} />}
      </p>
      {status.state === "interrupted" && <p>Your encoder has stopped sending. The broadcast waits for it.</p>}
      <a class="button" href={`/${channel}`}>
        Open the watch page
      </a>
    </>
  );
}
