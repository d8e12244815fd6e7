import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { embedCode, pageAddress, readEmbed } from "../src/lib/embed_address";
import { clockOf, positionOf } from "../src/player/dated";
import { Journal } from "../src/player/journal";
import { Motion } from "../src/player/motion";
import { readStart } from "../src/player/start_at";
import { readStoryboard, tileAt } from "../src/player/storyboard";
import { NO_FACTS, readFacts } from "../src/player/whep_facts";
import { iceServersOf, linksOf, sdpFragment } from "../src/player/whep_http";

describe("a start", () => {
  it("is a time behind live, a Unix time, or a moment in words", () => {
    expect(readStart("-90")).toEqual({ behindS: 90 });
    expect(readStart("1764424000")).toEqual({ unixMs: 1_764_424_000_000 });
    expect(readStart("2026-11-29T14:02:05Z")).toEqual({ unixMs: Date.UTC(2026, 10, 29, 14, 2, 5) });
  });
  it("is live for anything else", () => {
    for (const odd of [null, "", "90", "soon", "-", "-1e9", "2026-99-99T00:00"]) {
      expect(readStart(odd), String(odd)).toBeNull();
    }
  });
});

/** As much of a video element as a motion looks at. */
class FakeVideo extends EventTarget {
  paused = false;
  ended = false;
  seeking = false;
  readyState = 4;
  videoWidth = 640;
  currentTime = 0;
  srcObject: object | null = null;
  totalVideoFrames = 0;

  getVideoPlaybackQuality() {
    return { totalVideoFrames: this.totalVideoFrames };
  }

  motion(): Motion {
    const { signal } = new AbortController();
    return new Motion(this as unknown as HTMLVideoElement, new Journal(), () => {}, signal);
  }
}

describe("a picture", () => {
  beforeEach(() => {
    vi.stubGlobal("HTMLMediaElement", { HAVE_CURRENT_DATA: 2 });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  it("stands still when no frame of a WebRTC stream comes, although its clock runs on", () => {
    class FakeStream {}
    vi.useFakeTimers();
    vi.stubGlobal("MediaStream", FakeStream);
    const video = new FakeVideo();
    video.srcObject = new FakeStream();
    const motion = video.motion();
    const movesAfter = (frames: number) => {
      vi.advanceTimersByTime(1000);
      video.currentTime += 1;
      video.totalVideoFrames += frames;
      video.dispatchEvent(new Event("timeupdate"));
      motion.tick(Date.now());
      return motion.moving.value;
    };
    expect([30, 30, 0, 0, 30].map(movesAfter)).toEqual([true, true, false, false, true]);
  });
  it("moves while its viewer has paused it, and no more once it was played to the end of its broadcast", () => {
    const video = new FakeVideo();
    video.paused = true;
    const motion = video.motion();
    motion.shown.value = true;
    motion.tick(0);
    expect(motion.moving.value).toBe(true);
    video.readyState = 0;
    motion.tick(100);
    expect(motion.moving.value, "it is loaded anew").toBe(false);
    video.readyState = 4;
    video.ended = true;
    motion.tick(250);
    expect(motion.moving.value).toBe(false);
  });
});

describe("an embedded player", () => {
  it("plays by itself with sound and without chat unless told otherwise", () => {
    expect(readEmbed("")).toEqual({ autoplay: true, muted: false, chat: false, start: null });
    expect(readEmbed("?autoplay=0&muted=1&chat=1&start=-30")).toEqual({
      autoplay: false,
      muted: true,
      chat: true,
      start: { behindS: 30 },
    });
    expect(readEmbed("?autoplay=false&muted=0&chat=false")).toMatchObject({ autoplay: false, muted: false });
  });
  it("is framed by code of its own", () => {
    const code = embedCode("https://tv.example", "ada", true);
    expect(code).toContain('src="https://tv.example/embed/ada?chat=1"');
    expect(code).toContain("allowfullscreen");
  });
  it("is linked to, at a moment too", () => {
    expect(pageAddress("https://tv.example", "ada", null)).toBe("https://tv.example/ada");
    expect(pageAddress("https://tv.example", "ada", 1_764_424_000_900)).toBe(
      "https://tv.example/ada?start=1764424000",
    );
  });
});

describe("dates", () => {
  const segments = [
    { start: 10, duration: 2, programDateTime: 100_000 },
    { start: 12, duration: 2, programDateTime: 102_000 },
    { start: 14, duration: 2, programDateTime: 110_000 }, // a hole in time, not in the media
  ];
  it("tell the time of a position, beyond the ends too", () => {
    expect([9, 10.5, 13.5, 14, 17].map((at) => clockOf(segments, at))).toEqual([
      99_000, 100_500, 103_500, 110_000, 113_000,
    ]);
    expect(clockOf([], 1)).toBeNull();
    expect(clockOf([{ start: 0, duration: 2, programDateTime: null }], 1)).toBeNull();
  });
  it("tell the position of a time", () => {
    expect([99_000, 103_000, 111_000].map((at) => positionOf(segments, at))).toEqual([9, 13, 15]);
    expect(positionOf([], 1)).toBeNull();
  });
});

describe("a storyboard", () => {
  const text =
    "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n" +
    "00:00:02.000 --> 00:00:04.000\nsheet-0.jpg#xywh=0,0,160,90\n\n" +
    "00:00:04.000 --> 01:00:06.500\nsheet-0.jpg#xywh=160,0,160,90\n\n" +
    "nonsense\n";
  const tiles = readStoryboard(text, "/thumb/ada/");
  it("is read cue by cue, and what is none is left out", () => {
    expect(tiles).toHaveLength(2);
    expect(tiles[1]).toEqual({
      start: 4,
      end: 3606.5,
      sheet: "/thumb/ada/sheet-0.jpg?n=3",
      x: 160,
      y: 0,
      width: 160,
      height: 90,
    });
  });
  it("knows the tile of a time, and when it has none", () => {
    expect(tileAt(tiles, 1)).toBeNull();
    expect(tileAt(tiles, 3.9)).toBe(tiles[0]);
    expect(tileAt(tiles, 4)).toBe(tiles[1]);
    expect(tileAt(tiles.slice(0, 1), 5.5)).toBe(tiles[0]);
    expect(tileAt(tiles.slice(0, 1), 6.5)).toBeNull();
    expect(tileAt([], 3)).toBeNull();
  });
});

describe("WHEP", () => {
  it("reads ICE servers out of Link fields", () => {
    const header =
      '<stun:stun.example.net>; rel="ice-server", <turn:turn.example.net?transport=udp>; rel="ice-server"; ' +
      'username="user, \\"x\\""; credential="pass;word"; credential-type="password", </other>; rel="next"';
    expect(iceServersOf(header)).toEqual([
      { urls: "stun:stun.example.net" },
      { urls: "turn:turn.example.net?transport=udp", username: 'user, "x"', credential: "pass;word" },
    ]);
    expect(linksOf(header, "next").map((link) => link.target)).toEqual(["/other"]);
    expect(iceServersOf(null)).toEqual([]);
  });
  it("tells late candidates as a fragment", () => {
    const offer = "v=0\r\na=ice-ufrag:ab\r\na=ice-pwd:cd\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n";
    const candidate = { candidate: "candidate:1 1 udp 1 127.0.0.1 5 typ host" } as RTCIceCandidate;
    expect(sdpFragment(offer, [candidate]).split("\r\n")).toEqual([
      "a=ice-ufrag:ab",
      "a=ice-pwd:cd",
      "m=video 9 UDP/TLS/RTP/SAVPF 96",
      "a=mid:0",
      "a=candidate:1 1 udp 1 127.0.0.1 5 typ host",
      "a=end-of-candidates",
      "",
    ]);
  });
  it("knows latency and bitrate from two readings", () => {
    const reading = (bytes: number, timestamp: number, delay: number, frames: number) => [
      { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.02 },
      {
        type: "inbound-rtp",
        kind: "video",
        bytesReceived: bytes,
        timestamp,
        jitterBufferDelay: delay,
        jitterBufferEmittedCount: frames,
      },
      { type: "codec", mimeType: "video/H264" },
    ];
    const first = readFacts(reading(1000, 5000, 1, 30), NO_FACTS);
    expect(first.bitrate).toBeNull();
    const second = readFacts(reading(126_000, 6000, 2.5, 60), first);
    expect(second).toMatchObject({ bitrate: 1_000_000, codecs: "H264" });
    expect(second.latencyS).toBeCloseTo(0.06);
    expect(readFacts([], second)).toMatchObject({ bitrate: 1_000_000, codecs: "" });
  });
});
