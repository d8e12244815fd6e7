import { useEffect } from "preact/hooks";
import { formatClock, formatViewers } from "../../lib/format";
import type { WatchSession } from "../../player/watch_session";
import { LiveBadge } from "../../ui/live_badge";
import { Uptime } from "../../ui/uptime";
import { Share } from "./share";

/** Below the picture: what is on, since when, and for how many. */
export function Info(props: { readonly channel: string; readonly session: WatchSession | null }) {
  const { channel, session } = props;
  const status = session?.news.value.status ?? null;
  const on = status !== null && status.state !== "offline";
  const title = status?.title ?? "";
  const news = session?.news.value ?? null;
  const unknown = news?.phase === "unknown";
  const stale = news?.unreachable === true && status !== null ? news.heardAt : null;

  useEffect(() => {
    const shown = title === "" ? channel : `${title} · ${channel}`;
    document.title = `${on ? "● " : ""}${shown} · Nearcast`;
  }, [channel, title, on]);

  return (
    <section class="info" aria-label="About this broadcast">
      <div class="info-text">
        <h1 dir="auto">{title || channel}</h1>
        <p class="info-facts">
          {title !== "" && <span class="info-channel">{channel}</span>}
          {status !== null && <LiveBadge state={status.state} />}
          {on && <span class="number">{formatViewers(status.viewers)}</span>}
          {on && status.startedAt !== null && <Uptime since={status.startedAt} />}
          {status === null && !unknown && <span class="bone skeleton" aria-hidden="true" />}
          {stale !== null && <span>{`not updated since ${formatClock(stale)}`}</span>}
        </p>
      </div>
      {!unknown && <Share channel={channel} title={title || channel} session={session} />}
    </section>
  );
}
