/** Figures of a WebRTC connection (W3C Identifiers for WebRTC's Statistics API). */

export interface Facts {
  /** Half a round trip and the time in the jitter buffer; null until frames have come. */
  readonly latencyS: number | null;
  /** Of the picture, over what came since the reading before. */
  readonly bitrate: number | null;
  readonly codecs: string;
  readonly counts: Counts;
}

interface Counts {
  readonly bytes: number;
  readonly atMs: number;
  /** Sum over all frames of their time in the jitter buffer. */
  readonly delayS: number;
  readonly frames: number;
}

const NONE: Counts = { bytes: 0, atMs: 0, delayS: 0, frames: 0 };
export const NO_FACTS: Facts = { latencyS: null, bitrate: null, codecs: "", counts: NONE };

type Entry = Readonly<Record<string, unknown>>;

/** The figures now, by those of the reading before. */
export function readFacts(entries: readonly Entry[], before: Facts): Facts {
  const pair = entries.find((one) => one.type === "candidate-pair" && one.nominated === true);
  const video = entries.find((one) => one.type === "inbound-rtp" && one.kind === "video");
  const codecs = entries.filter((one) => one.type === "codec").map((one) => codecName(one.mimeType));
  const counts = video === undefined ? before.counts : countsOf(video);
  const frames = counts.frames - before.counts.frames;
  const passedMs = counts.atMs - before.counts.atMs;
  const waitedS = (counts.delayS - before.counts.delayS) / frames;
  const known = before.counts.atMs > 0 && passedMs > 0;
  return {
    latencyS: frames > 0 ? numberOf(pair?.currentRoundTripTime) / 2 + waitedS : before.latencyS,
    bitrate: known ? (8000 * (counts.bytes - before.counts.bytes)) / passedMs : before.bitrate,
    codecs: codecs.join(", "),
    counts,
  };
}

function countsOf(video: Entry): Counts {
  return {
    bytes: numberOf(video.bytesReceived),
    atMs: numberOf(video.timestamp),
    delayS: numberOf(video.jitterBufferDelay),
    frames: numberOf(video.jitterBufferEmittedCount),
  };
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function codecName(mimeType: unknown): string {
  return String(mimeType).split("/")[1] ?? "";
}
