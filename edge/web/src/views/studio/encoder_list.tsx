import type { EncoderSession } from "../../api/health";
import { formatBitrate } from "../../lib/format";

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function placeOf(session: EncoderSession): string {
  if (session.onAir) return "On the air";
  return session.standby ? "In reserve" : "Waiting";
}

function wayOf(session: EncoderSession): string {
  const trip = session.roundTripMs === null ? "" : `, round trip ${Math.round(session.roundTripMs)} ms`;
  return `${session.kind.toUpperCase()} from ${session.address}, ${formatBitrate(session.bitRate)}${trip}`;
}

/** The encoders that are connected now, and what happened to each. */
export function EncoderList(props: { readonly sessions: readonly EncoderSession[] }) {
  if (props.sessions.length === 0) return null;
  return (
    <section class="encoders" aria-labelledby="encoders-title">
      <h4 id="encoders-title">Your encoders</h4>
      <ul>
        {props.sessions.map((session) => (
          <li key={session.id}>
            <p>
              <strong>{placeOf(session)}</strong> {session.encoder}
            </p>
            <p class="detail number">{wayOf(session)}</p>
            <ol class="detail" aria-label="What happened">
              {session.events.map((event) => (
                <li key={`${event.at} ${event.text}`}>
                  <time dateTime={new Date(event.at).toISOString()}>{clock.format(event.at)}</time>{" "}
                  {event.text}
                </li>
              ))}
            </ol>
          </li>
        ))}
      </ul>
    </section>
  );
}
