import type { AudioHealth, HealthReport, VideoHealth } from "../../api/health";
import { formatBitrate } from "../../lib/format";

/** The figures of a report in words: a name, a value, and what makes it clearer. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly detail: string;
}

const CODECS: Readonly<Record<string, string>> = {
  avc1: "H.264",
  avc3: "H.264",
  hvc1: "HEVC",
  hev1: "HEVC",
  av01: "AV1",
  vp09: "VP9",
  vp08: "VP8",
  vp8: "VP8",
  mp4a: "AAC",
  opus: "Opus",
  flac: "FLAC",
  "ac-3": "AC-3",
  "ec-3": "E-AC-3",
};

/** "avc1.64001f" -> "H.264". */
export function codecName(codec: string): string {
  const kind = codec.split(".")[0] ?? "";
  return CODECS[kind] ?? CODECS[kind.toLowerCase()] ?? codec;
}

function plain(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

function channelsName(channels: number): string {
  if (channels === 1) return "mono";
  if (channels === 2) return "stereo";
  return `${channels} channels`;
}

function videoFigures(video: VideoHealth): readonly Figure[] {
  const slow = video.frameRate > 0 && video.frameRate < 0.9 * video.expectedFrameRate;
  return [
    {
      name: "Picture",
      value: video.width === 0 ? "unknown" : `${video.width}×${video.height}`,
      detail: [codecName(video.codec), video.profile].filter((text) => text !== "").join(" "),
    },
    {
      name: "Frame rate",
      value: video.frameRate === 0 ? "measuring" : plain(video.frameRate, 1),
      detail: slow ? `of ${plain(video.expectedFrameRate, 1)} a second` : "pictures a second",
    },
    {
      name: "Bit rate",
      value: video.bitRate1s === 0 ? "measuring" : formatBitrate(video.bitRate1s),
      detail: video.bitRate10s === 0 ? "" : `${formatBitrate(video.bitRate10s)} in 10 s`,
    },
    {
      name: "Key frames",
      value: video.gopS === 0 ? "measuring" : `every ${plain(video.gopS, 1)} s`,
      detail: video.bFrames ? "with B-frames" : "no B-frames",
    },
  ];
}

function audioFigure(audio: AudioHealth): Figure {
  const rate = audio.sampleRate === 0 ? "" : `${plain(audio.sampleRate / 1000, 1)} kHz`;
  const parts = [rate, channelsName(audio.channels), audio.bitRate === 0 ? "" : formatBitrate(audio.bitRate)];
  return {
    name: "Sound",
    value: codecName(audio.codec) || "unknown",
    detail: parts.filter((text) => text !== "").join(", "),
  };
}

function uploadFigure(report: HealthReport): Figure {
  const pauses = report.stalls === 1 ? "1 pause" : `${report.stalls} pauses`;
  const longest = report.stalls === 0 ? "" : `, up to ${plain(report.longestStallMs / 1000, 1)} s`;
  return {
    name: "Upload",
    value: report.stalls === 0 ? "steady" : pauses,
    detail: report.stalls === 0 ? `${plain(report.jitterMs, 0)} ms jitter` : `in the last minute${longest}`,
  };
}

export function figuresOf(report: HealthReport): readonly Figure[] {
  return [
    ...(report.video === null ? [] : videoFigures(report.video)),
    ...(report.audio === null ? [] : [audioFigure(report.audio)]),
    uploadFigure(report),
  ];
}
