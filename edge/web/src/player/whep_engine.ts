import type { Engine, EngineEvents, EngineStats, Measured } from "./engine";
import { type Facts, NO_FACTS, readFacts } from "./whep_facts";
import { type Answered, endSession, RefusedError, sdpFragment, sendCandidates, sendOffer } from "./whep_http";

/** A connection that has not come about by then is given up, milliseconds. */
const CONNECT_MS = 8000;
/** So long a broken connection may heal by itself, milliseconds. */
const HEAL_MS = 3000;
/** The offer waits so long for this machine's own addresses, milliseconds. */
const GATHER_MS = 250;
const STATS_MS = 1000;

/** WebRTC by WHEP: the shortest way, without rewinding or a choice of quality. */
export class WhepEngine implements Engine {
  readonly hls = null;
  readonly name = "whep";
  private readonly peer = new RTCPeerConnection();
  private readonly leave = new AbortController();
  private readonly late: RTCIceCandidate[] = [];
  private readonly statsTimer: ReturnType<typeof setInterval>;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private answered: Answered | null = null;
  private facts: Facts = NO_FACTS;
  private readonly stream = new MediaStream();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly events: EngineEvents,
  ) {
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.addTransceiver("audio", { direction: "recvonly" });
    this.peer.addEventListener("track", ({ track }) => this.stream.addTrack(track));
    this.peer.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate !== null) this.late.push(candidate);
    });
    this.peer.addEventListener("connectionstatechange", () => this.changed());
    this.statsTimer = setInterval(() => void this.read(), STATS_MS);
  }

  /** Puts what comes in into the video element. */
  show(): void {
    this.video.srcObject = this.stream;
  }

  /** Calls `work` as soon as media comes in. */
  onMedia(work: () => void): void {
    const options = { once: true, signal: this.leave.signal };
    for (const { receiver } of this.peer.getTransceivers()) {
      receiver.track.addEventListener("unmute", work, options);
    }
  }

  load(url: string): void {
    this.watch(CONNECT_MS, "No connection came about.");
    this.connect(url).catch((error: unknown) => this.failed(error));
  }

  destroy(): void {
    clearTimeout(this.watchdog);
    clearInterval(this.statsTimer);
    this.leave.abort();
    this.peer.close();
    if (this.answered?.session != null) endSession(this.answered.session);
    if (this.video.srcObject === this.stream) this.video.srcObject = null;
  }

  recoverMedia(): void {
    this.events.trouble("refused", "The picture could not be decoded.");
  }

  received(): number {
    return 0;
  }

  hurry(): void {}

  measured(): Measured {
    return { measured: this.facts.latencyS, syncPosition: null, target: 0, windowStart: null, begun: true };
  }

  stayBehind(): void {}
  follow(): void {}
  chooseLevel(): void {}

  clockAt(): null {
    return null;
  }

  positionAt(): null {
    return null;
  }

  mediaTimeAt(): null {
    return null;
  }

  stats(): EngineStats {
    return {
      engine: "WebRTC (WHEP)",
      bandwidth: this.facts.bitrate,
      partTargetS: null,
      targetDurationS: null,
      playlist: "none",
      codecs: this.facts.codecs,
    };
  }

  private async connect(url: string): Promise<void> {
    await this.peer.setLocalDescription(await this.peer.createOffer());
    await this.gathered();
    const offer = this.peer.localDescription?.sdp ?? "";
    this.late.length = 0;
    const answered = await sendOffer(url, offer, this.leave.signal);
    if (this.leave.signal.aborted) {
      if (answered.session !== null) endSession(answered.session);
      return;
    }
    this.answered = answered;
    if (answered.iceServers.length > 0) this.peer.setConfiguration({ iceServers: [...answered.iceServers] });
    await this.peer.setRemoteDescription({ type: "answer", sdp: answered.sdp });
    this.events.ready([]);
    if (answered.session !== null && this.late.length > 0) {
      await sendCandidates(answered.session, answered.etag, sdpFragment(offer, this.late));
    }
  }

  private gathered(): Promise<void> {
    if (this.peer.iceGatheringState === "complete") return Promise.resolve();
    return new Promise((resolve) => {
      setTimeout(resolve, GATHER_MS);
      this.peer.addEventListener("icegatheringstatechange", () => {
        if (this.peer.iceGatheringState === "complete") resolve();
      });
    });
  }

  private changed(): void {
    const state = this.peer.connectionState;
    if (state === "connected") clearTimeout(this.watchdog);
    else if (state === "failed") this.events.trouble("refused", "The connection failed.");
    else if (state === "disconnected") this.watch(HEAL_MS, "The connection broke.");
  }

  private watch(afterMs: number, words: string): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.events.trouble("refused", words), afterMs);
  }

  private failed(error: unknown): void {
    if (this.leave.signal.aborted) return;
    clearTimeout(this.watchdog);
    const words = error instanceof RefusedError ? error.message : `No WebRTC: ${String(error)}`;
    this.events.trouble("refused", words);
  }

  private async read(): Promise<void> {
    if (this.peer.connectionState === "connected")
      this.facts = readFacts([...(await this.peer.getStats()).values()], this.facts);
  }
}
