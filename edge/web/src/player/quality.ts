/** The quality menu: what hls.js calls levels, in words, best first. */

export interface Level {
  readonly width: number;
  readonly height: number;
  /** Frames per second; 0 while unknown. */
  readonly frameRate: number;
  /** Bits per second. */
  readonly bitrate: number;
}

export interface QualityChoice {
  /** Index among the levels; AUTO for automatic. */
  readonly index: number;
  readonly label: string;
  readonly detail: string;
}

export const AUTO = -1;

/** "1080p60", "480p", "Audio". Frame rates up to 31 go without saying. */
export function levelLabel(level: Level): string {
  if (level.height === 0) return "Audio";
  const short = Math.min(level.height, level.width || level.height);
  const rate = Math.round(level.frameRate);
  return rate > 31 ? `${short}p${rate}` : `${short}p`;
}

function detail(level: Level): string {
  const rate = level.frameRate > 0 ? `${Math.round(level.frameRate)} fps, ` : "";
  return `${rate}${(level.bitrate / 1e6).toFixed(1)} Mbit/s`;
}

/** Choices best first, automatic on top; labels that would be alike tell their bitrate. */
export function qualityChoices(levels: readonly Level[], playing: number): readonly QualityChoice[] {
  const now = levels[playing];
  const listed = levels.map((level, index) => ({ index, label: levelLabel(level), detail: detail(level) }));
  const order = (a: QualityChoice, b: QualityChoice) => rank(levels[b.index]) - rank(levels[a.index]);
  const auto = { index: AUTO, label: "Auto", detail: now === undefined ? "" : `now ${levelLabel(now)}` };
  return [auto, ...listed.sort(order)];
}

function rank(level: Level | undefined): number {
  return level === undefined ? 0 : level.height * 1e9 + level.bitrate;
}
