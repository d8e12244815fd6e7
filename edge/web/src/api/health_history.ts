import type { HealthReport } from "./health";

/** The bit rate of the last minutes, for a chart. */

export interface HealthPoint {
  /** Unix milliseconds. */
  readonly at: number;
  /** Bits per second. */
  readonly bitRate: number;
  /** The upload paused since the point before. */
  readonly stalled: boolean;
}

export interface HealthHistory {
  readonly points: readonly HealthPoint[];
  readonly stallsTotal: number;
}

export const HISTORY_MS = 120_000;
export const EMPTY_HISTORY: HealthHistory = { points: [], stallsTotal: 0 };

/** The history with a report added; a report seen before, or a first one that has not measured yet, changes nothing. */
export function addReport(history: HealthHistory, report: HealthReport): HealthHistory {
  const last = history.points.at(-1);
  if (last !== undefined && report.at <= last.at) return history;
  const bitRate = report.video?.bitRate1s ?? report.audio?.bitRate ?? 0;
  if (last === undefined && bitRate === 0) return history;
  const kept = history.points.filter((point) => point.at > report.at - HISTORY_MS);
  const stalled = last !== undefined && report.stallsTotal > history.stallsTotal;
  const point = { at: report.at, bitRate, stalled };
  return { points: [...kept, point], stallsTotal: report.stallsTotal };
}

/** Where the axis ends: a round figure above the highest point, bits per second. */
export function axisEnd(points: readonly HealthPoint[]): number {
  const highest = Math.max(1e6, ...points.map((point) => point.bitRate));
  const step = highest > 8e6 ? 4e6 : highest > 2e6 ? 2e6 : 5e5;
  return Math.ceil((highest * 1.05) / step) * step;
}
