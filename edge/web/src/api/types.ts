/** What the edge's documents say, and readers that trust nothing about their shape. */

/** Who may watch a channel. */
export type Access = "public" | "followers" | "subscribers";

export type ChannelState = "offline" | "starting" | "live" | "interrupted";

/** One live channel of /live/channels.json. */
export interface LiveChannel {
  readonly channel: string;
  readonly title: string;
  readonly category: string;
  readonly streamId: string;
  readonly state: ChannelState;
  /** Unix milliseconds. */
  readonly startedAt: number | null;
  readonly viewers: number;
  /** Pixels; 0 while unknown. */
  readonly width: number;
  readonly height: number;
  /** Path of its newest picture on this server, empty when it has none. */
  readonly thumbnail: string;
}

/** /live/CHANNEL/status.json */
export interface ChannelStatus {
  readonly channel: string;
  readonly title: string;
  readonly state: ChannelState;
  readonly streamId: string | null;
  readonly startedAt: number | null;
  readonly viewers: number;
  readonly access: Access;
  readonly partTargetS: number | null;
  /** Both false while it is being found out. */
  readonly hasPicture: boolean;
  readonly hasSound: boolean;
  /** Where to play by WebRTC; null when this server does not offer it. */
  readonly whepUrl: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A path of this server. */
function pathOf(value: unknown): string {
  return /^\/[^/]/.test(textOf(value)) ? textOf(value) : "";
}

export function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function stateOf(value: unknown): ChannelState {
  return value === "starting" || value === "live" || value === "interrupted" ? value : "offline";
}

function accessOf(value: unknown): Access {
  return value === "followers" || value === "subscribers" ? value : "public";
}

function readChannel(value: unknown): LiveChannel | null {
  if (!isFields(value) || textOf(value.channel) === "") return null;
  return {
    channel: textOf(value.channel),
    title: textOf(value.title),
    category: textOf(value.category),
    streamId: textOf(value.stream_id),
    state: stateOf(value.state),
    startedAt: numberOf(value.started_at),
    viewers: numberOf(value.viewers) ?? 0,
    width: numberOf(value.width) ?? 0,
    height: numberOf(value.height) ?? 0,
    thumbnail: pathOf(value.thumbnail),
  };
}

/** The channels of a /live/channels.json document; null when it is not one. */
export function readChannels(document: unknown): readonly LiveChannel[] | null {
  if (!isFields(document) || !Array.isArray(document.channels)) return null;
  return document.channels.map(readChannel).filter((channel) => channel !== null);
}

/** A status document; null when it is not one. */
export function readStatus(document: unknown): ChannelStatus | null {
  if (!isFields(document) || textOf(document.channel) === "") return null;
  return {
    channel: textOf(document.channel),
    title: textOf(document.title),
    state: stateOf(document.state),
    streamId: textOf(document.stream_id) || null,
    startedAt: numberOf(document.started_at),
    viewers: numberOf(document.viewers) ?? 0,
    access: accessOf(document.access),
    partTargetS: numberOf(document.part_target_s),
    hasPicture: document.picture !== false,
    hasSound: document.sound !== false,
    whepUrl: textOf(document.whep_url) || null,
  };
}
