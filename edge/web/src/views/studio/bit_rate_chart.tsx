import { axisEnd, type HealthPoint, HISTORY_MS } from "../../api/health_history";
import { formatBitrate } from "../../lib/format";

const WIDTH = 600;
const HEIGHT = 120;
const BREAK_MS = 7000;

function placeX(at: number, end: number): number {
  return Math.round((WIDTH * (at - end + HISTORY_MS)) / HISTORY_MS);
}

/** Runs of points: a line is not drawn across the time in which nothing was told. */
function runsOf(points: readonly HealthPoint[]): readonly (readonly HealthPoint[])[] {
  const runs: HealthPoint[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point.at - last > BREAK_MS) runs.push([]);
    runs.at(-1)?.push(point);
    last = point.at;
  }
  return runs;
}

/** The bit rate of the last two minutes; a mark below where the upload paused. */
export function BitRateChart(props: { readonly points: readonly HealthPoint[] }) {
  const { points } = props;
  const last = points.at(-1);
  if (last === undefined) return null;
  const top = axisEnd(points);
  const placeY = (bitRate: number) => Math.round(HEIGHT * (1 - bitRate / top));
  const rates = points.map((point) => point.bitRate);
  const pauses = points.filter((point) => point.stalled);
  const paused = pauses.length === 0 ? "" : `, ${pauses.length} with a pause of the upload`;
  const said = `Bit rate of the last two minutes: now ${formatBitrate(last.bitRate)}, lowest ${formatBitrate(
    Math.min(...rates),
  )}, highest ${formatBitrate(Math.max(...rates))}${paused}.`;
  return (
    <figure class="rate-chart">
      <div class="rate-plot">
        <span class="rate-axis number" aria-hidden="true">
          {formatBitrate(top)}
        </span>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
          <line class="rate-grid" x1="0" x2={WIDTH} y1={HEIGHT / 2} y2={HEIGHT / 2} />
          {runsOf(points).map((run) => {
            const first = run[0];
            const end = run.at(-1);
            if (first === undefined || end === undefined) return null;
            const line = run
              .map((point) => `${placeX(point.at, last.at)},${placeY(point.bitRate)}`)
              .join(" ");
            const from = placeX(first.at, last.at);
            const to = placeX(end.at, last.at);
            return (
              <g key={first.at}>
                <polygon class="rate-area" points={`${from},${HEIGHT} ${line} ${to},${HEIGHT}`} />
                <polyline class="rate-line" points={line} />
              </g>
            );
          })}
          {pauses.map((point) => {
            const x = placeX(point.at, last.at);
            return <line key={point.at} class="rate-pause" x1={x} x2={x} y1="0" y2={HEIGHT} />;
          })}
        </svg>
      </div>
      <figcaption>
        <span>2 minutes ago</span>
        {pauses.length > 0 && <span class="rate-key">upload paused</span>}
        <span>now</span>
      </figcaption>
    </figure>
  );
}
