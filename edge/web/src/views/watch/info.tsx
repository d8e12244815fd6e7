import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatViewers } from "../../lib/format";
import type { WatchSession } from "../../player/watch_session";
import { ShareIcon } from "../../ui/icons";
import { LiveBadge } from "../../ui/live_badge";
import { Uptime } from "../../ui/uptime";

/** Below the picture: what is on, since when, and for how many. */
export function Info(props: { readonly channel: string; readonly session: WatchSession | null }) {
  const { channel, session } = props;
  const status = session?.news.value.status ?? null;
  const on = status !== null && status.state !== "offline";
  const title = status?.title ?? "";

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
        </p>
      </div>
      <Share title={title || channel} />
    </section>
  );
}

function Share(props: { readonly title: string }) {
  const done = useSignal(false);

  async function share() {
    const { href } = window.location;
    try {
      if (navigator.share !== undefined) return await navigator.share({ title: props.title, url: href });
      await navigator.clipboard.writeText(href);
    } catch {
      return;
    }
    done.value = true;
    setTimeout(() => {
      done.value = false;
    }, 2000);
  }

  return (
    <button type="button" class="button quiet" onClick={share}>
      <ShareIcon />
      <span aria-live="polite">{done.value ? "Link copied" : "Share"}</span>
    </button>
  );
}
