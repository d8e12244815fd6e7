import { hash, hueOf, series } from "../lib/hash";

const RINGS = 7;

/** A picture for a channel without one: rings around a place that its name decides, in its own hue. */
export function ChannelArt(props: { readonly channel: string }) {
  const random = series(hash(props.channel));
  random();
  const x = 40 + random() * 240;
  const y = 30 + random() * 120;
  const gap = 20 + random() * 16;
  const turn = Math.round(random() * 360);
  const rings = Array.from({ length: RINGS }, (_, index) => (index + 1) * gap);
  return (
    <svg
      class="channel-art"
      style={{ "--hue": String(hueOf(props.channel)) }}
      viewBox="0 0 320 180"
      preserveAspectRatio="xMidYMid slice"
      aria-hidden="true"
      focusable="false"
    >
      <rect class="ground" width="320" height="180" />
      <g transform={`translate(${x} ${y})`}>
        {rings.map((radius, index) => (
          <circle
            key={radius}
            class="art-ring"
            r={radius}
            pathLength="360"
            stroke-dasharray="300 60"
            transform={`rotate(${turn + index * 23})`}
            opacity={1 - index / (RINGS + 1)}
          />
        ))}
        <circle class="art-dot" r={gap * 0.42} />
      </g>
    </svg>
  );
}
