import { now } from "../lib/clock";
import { formatDuration, formatMoment, sayDuration } from "../lib/format";

/** How long something has been on, counting; the exact start on hover. */
export function Uptime(props: { readonly since: number }) {
  const seconds = (now.value - props.since) / 1000;
  return (
    <time
      class="number"
      dateTime={new Date(props.since).toISOString()}
      title={`Live since ${formatMoment(props.since)}`}
    >
      <span class="visually-hidden">{`Live for ${sayDuration(seconds)}`}</span>
      <span aria-hidden="true">{formatDuration(seconds)}</span>
    </time>
  );
}
