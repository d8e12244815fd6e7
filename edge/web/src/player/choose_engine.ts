import type { Engine, EngineEvents } from "./engine";
import type { Closeness } from "./preferences";

export interface EngineWish {
  readonly partTargetS: number | null;
  readonly closeness: Closeness;
  readonly whep: boolean;
  readonly readdress?: (url: string) => string;
  readonly early?: boolean;
}

/** The engine for this browser and wish; null when it has none. `current` false: nobody wants it any more. */
export async function chooseEngine(
  video: HTMLVideoElement,
  wish: EngineWish,
  events: EngineEvents,
  current: () => boolean,
): Promise<Engine | null> {
  if (wish.whep) {
    const { WhepEngine } = await import("./whep_engine");
    if (!current()) return null;
    const engine = new WhepEngine(video, events);
    engine.show();
    return engine;
  }
  const { canUseHls, HlsEngine } = await import("./hls_engine");
  if (!current()) return null;
  if (canUseHls()) return new HlsEngine(video, wish, events);
  if (video.canPlayType("application/vnd.apple.mpegurl") === "") return null;
  const { NativeEngine } = await import("./native_engine");
  return current() ? new NativeEngine(video, wish.closeness, events) : null;
}

/** Whether this browser has WebRTC. */
export function canUseWhep(): boolean {
  return typeof RTCPeerConnection === "function";
}
