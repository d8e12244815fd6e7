import { type ChannelState, isFields, numberOf, stateOf, textOf } from "./types";

/** How a streamer's own stream arrives, as /live/CHANNEL/health tells its owner. */

export type Severity = "notice" | "warning" | "error";

export interface Advice {
  readonly code: string;
  readonly severity: Severity;
  readonly text: string;
  /** The setting as OBS Studio calls it, and its value; "" when there is none. */
  readonly setting: string;
}

export interface VideoHealth {
  readonly codec: string;
  readonly profile: string;
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
  readonly expectedFrameRate: number;
  /** Bits per second. */
  readonly bitRate1s: number;
  readonly bitRate10s: number;
  readonly bitRatePeak: number;
  /** Seconds between key frames: the last distance, and the longest lately. */
  readonly gopS: number;
  readonly gopLongestS: number;
  readonly bFrames: boolean;
}

export interface AudioHealth {
  readonly codec: string;
  readonly sampleRate: number;
  readonly channels: number;
  readonly bitRate: number;
}

export interface HealthReport {
  /** Unix milliseconds. */
  readonly at: number;
  readonly video: VideoHealth | null;
  readonly audio: AudioHealth | null;
  readonly driftPpm: number | null;
  readonly jitterMs: number;
  /** Pauses of the last minute, and of the whole session. */
  readonly stalls: number;
  readonly stallsTotal: number;
  readonly longestStallMs: number;
  readonly advice: readonly Advice[];
}

/** Something that happened to an encoder's session. */
export interface SessionEvent {
  /** Unix milliseconds. */
  readonly at: number;
  readonly text: string;
}

/** An encoder that is connected: the one on the air, or the one in reserve. */
export interface EncoderSession {
  readonly id: string;
  readonly standby: boolean;
  readonly onAir: boolean;
  readonly kind: string;
  readonly address: string;
  readonly encoder: string;
  /** Bits per second. */
  readonly bitRate: number;
  readonly roundTripMs: number | null;
  /** The newest last. */
  readonly events: readonly SessionEvent[];
}

export interface StreamHealth {
  readonly state: ChannelState;
  /** Unix milliseconds. */
  readonly startedAt: number | null;
  readonly viewers: number;
  readonly encoder: string;
  readonly ladder: readonly string[];
  readonly problems: readonly string[];
  readonly report: HealthReport | null;
  readonly sessions: readonly EncoderSession[];
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf).filter((text) => text !== "") : [];
}

function amount(value: unknown): number {
  return numberOf(value) ?? 0;
}

function readAdvice(value: unknown): Advice | null {
  if (!isFields(value) || textOf(value.text) === "") return null;
  const severity = value.severity === "error" || value.severity === "warning" ? value.severity : "notice";
  return { code: textOf(value.code), severity, text: textOf(value.text), setting: textOf(value.setting) };
}

function readVideo(value: unknown): VideoHealth | null {
  if (!isFields(value)) return null;
  return {
    codec: textOf(value.codec),
    profile: textOf(value.profile),
    width: amount(value.width),
    height: amount(value.height),
    frameRate: amount(value.frame_rate),
    expectedFrameRate: amount(value.expected_frame_rate),
    bitRate1s: amount(value.bit_rate_1s),
    bitRate10s: amount(value.bit_rate_10s),
    bitRatePeak: amount(value.bit_rate_peak),
    gopS: amount(value.gop_s),
    gopLongestS: amount(value.gop_longest_s),
    bFrames: value.b_frames === true,
  };
}

function readAudio(value: unknown): AudioHealth | null {
  if (!isFields(value)) return null;
  return {
    codec: textOf(value.codec),
    sampleRate: amount(value.sample_rate),
    channels: amount(value.channels),
    bitRate: amount(value.bit_rate),
  };
}

function readReport(value: unknown): HealthReport | null {
  if (!isFields(value)) return null;
  const advice = Array.isArray(value.advice) ? value.advice.map(readAdvice) : [];
  return {
    at: amount(value.at_ms),
    video: readVideo(value.video),
    audio: readAudio(value.audio),
    driftPpm: numberOf(value.drift_ppm),
    jitterMs: amount(value.jitter_ms),
    stalls: amount(value.stalls),
    stallsTotal: amount(value.stalls_total),
    longestStallMs: amount(value.longest_stall_ms),
    advice: advice.filter((one) => one !== null),
  };
}

function readSession(value: unknown): EncoderSession | null {
  if (!isFields(value) || textOf(value.session_id) === "") return null;
  const events = Array.isArray(value.events) ? value.events.filter(isFields) : [];
  return {
    id: textOf(value.session_id),
    standby: value.slot === "standby",
    onAir: textOf(value.broadcast_id) !== "",
    kind: textOf(value.kind),
    address: textOf(value.address),
    encoder: textOf(value.encoder),
    bitRate: amount(value.bit_rate),
    roundTripMs: numberOf(value.rtt_ms),
    events: events.map((one) => ({ at: amount(one.at_ms), text: textOf(one.text) })),
  };
}

/** A health document; null when it is not one. */
export function readHealth(document: unknown): StreamHealth | null {
  if (!isFields(document) || textOf(document.channel) === "") return null;
  return {
    state: stateOf(document.state),
    startedAt: numberOf(document.started_at),
    viewers: amount(document.viewers),
    encoder: textOf(document.encoder),
    ladder: textsOf(document.ladder),
    problems: textsOf(document.problems),
    report: readReport(document.report),
    sessions: (Array.isArray(document.sessions) ? document.sessions.map(readSession) : []).filter(
      (one) => one !== null,
    ),
  };
}
