"""A browser publishes by WHIP: every codec that it has, the sound with it, and how the resource answers."""

import asyncio
import io
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from aiohttp import web
from av.video.frame import VideoFrame
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.frames import sound
from tests.media_tools.hls_client import HlsRecorder, Track

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs Chromium"),
]

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
_CAMERA = "() => navigator.mediaDevices.getUserMedia({audio: true, video: {width: 1280, height: 720}})"
# a white picture and a tone of a tenth of a second, together, every second
_CLAPPER = """async () => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [640, 360];
  const paper = canvas.getContext('2d');
  const sounds = new AudioContext(), output = sounds.createMediaStreamDestination();
  const gain = sounds.createGain(), tone = sounds.createOscillator();
  gain.gain.value = 0;
  tone.connect(gain).connect(output);
  tone.start();
  let shown = 0;
  setInterval(() => {
    const flash = performance.now() % 1000 < 100;
    gain.gain.value = flash ? 0.8 : 0;
    paper.fillStyle = flash ? 'white' : 'black';
    paper.fillRect(0, 0, 640, 360);
    paper.fillStyle = 'gray';
    paper.fillRect(shown++ % 600, 170, 20, 20);
  }, 20);
  const stream = canvas.captureStream(30);
  stream.addTrack(output.stream.getAudioTracks()[0]);
  return stream;
}"""
_PUBLISH = """async ([url, key, codec, layers, keep, source]) => {
  const media = await eval(source)();
  const peer = window.peer = new RTCPeerConnection();
  peer.addTransceiver(media.getAudioTracks()[0], {direction: 'sendonly'});
  const video = peer.addTransceiver(media.getVideoTracks()[0],
    {direction: 'sendonly', sendEncodings: layers.length ? layers : undefined});
  const codecs = RTCRtpSender.getCapabilities('video').codecs;
  const wanted = codecs.filter(one => one.mimeType === codec || /rtx/.test(one.mimeType));
  if (!wanted.some(one => one.mimeType === codec)) return {missing: true};
  video.setCodecPreferences(wanted);
  await peer.setLocalDescription();
  const began = performance.now();
  const answer = await fetch(url, {method: 'POST', body: peer.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', 'Authorization': 'Bearer ' + key}});
  const body = await answer.text();
  if (answer.status !== 201) return {status: answer.status, body};
  const kept = one => !one.startsWith('a=candidate') || one.includes(keep);
  const sdp = body.split('\\r\\n').filter(kept).join('\\r\\n');
  await peer.setRemoteDescription({type: 'answer', sdp});
  await new Promise((done, failed) => {
    const look = () => {
      if (peer.connectionState === 'connected') done();
      if (peer.connectionState === 'failed') failed(new Error('failed'));
    };
    peer.onconnectionstatechange = look;
    look();
  });
  const base = new URL(url);
  return {status: answer.status, location: new URL(answer.headers.get('Location'), base).href,
    etag: answer.headers.get('ETag'), connect: performance.now() - began};
}"""
_RESTART = """async ([location, etag]) => {
  const peer = window.peer;
  peer.restartIce();
  await peer.setLocalDescription();
  const offer = peer.localDescription.sdp;
  const pick = name => offer.match(new RegExp('a=' + name + ':(.*)'))[1].trim();
  const headers = {'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*'};
  const answer = await fetch(location, {method: 'PATCH', headers,
    body: `a=ice-ufrag:${pick('ice-ufrag')}\\r\\na=ice-pwd:${pick('ice-pwd')}\\r\\n`});
  const text = await answer.text();
  const ours = name => text.match(new RegExp('a=' + name + ':(.*)'))[1].trim();
  const before = peer.remoteDescription.sdp;
  const after = before.replace(/a=ice-ufrag:.*/g, 'a=ice-ufrag:' + ours('ice-ufrag'))
    .replace(/a=ice-pwd:.*/g, 'a=ice-pwd:' + ours('ice-pwd'));
  await peer.setRemoteDescription({type: 'answer', sdp: after});
  return {status: answer.status, changed: answer.headers.get('ETag') !== etag};
}"""
_LEAVE = """async (location) => {
  const answer = await fetch(location, {method: 'DELETE'});
  window.peer.close();
  return answer.status;
}"""
_SENT = """async () => {
  const found = [];
  for (const one of (await window.peer.getStats()).values()) {
    if (one.type === 'outbound-rtp')
      found.push({kind: one.kind, rid: one.rid, width: one.frameWidth, height: one.frameHeight,
        frames: one.framesEncoded, plis: one.pliCount, nacks: one.nackCount, bytes: one.bytesSent});
  }
  return found;
}"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium with a camera of its own making."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """URL of an empty page of another origin than the node's; a secure context, as cameras need."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<!doctype html><title>studio</title>", content_type="text/html")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def page(browser: Browser, elsewhere: str) -> Page:
    """That page."""
    opened = await browser.new_page()
    await opened.goto(elsewhere)
    return opened


async def publish(
    page: Page,
    node: Node,
    key: str,
    codec: str = "video/H264",
    *,
    layers: list[dict[str, Any]] | None = None,
    keep: str = "",
    source: str = _CAMERA,
) -> dict[str, Any]:
    """Publishes; what the page found out. `keep` is what our candidates have to contain."""
    arguments = [f"{node.web}/whip", key, codec, layers or [], keep, source]
    found: dict[str, Any] = await page.evaluate(_PUBLISH, arguments)
    return found


async def first_part(node: Node, channel: Channel) -> float:
    """Waits until the multivariant playlist is there, which is when its first parts are; the seconds that took."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, asyncio.timeout(15):
        while True:
            async with session.get(node.hls(channel)) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
            await asyncio.sleep(0.05)


def shown(track: Track) -> list[tuple[float, float, int]]:
    """Time, brightness and width of every picture of a rendition. av.error.FFmpegError when one does not decode."""
    found = []
    for data in track.streams():
        with av.open(io.BytesIO(data), format="mp4") as file:
            for frame in file.decode(file.streams.video[0]):
                assert isinstance(frame, VideoFrame)
                light = frame.reformat(format="gray", width=8, height=8)
                brightness = sum(bytes(light.planes[0])[row * light.planes[0].line_size] for row in range(8)) / 8
                found.append((float(frame.time or 0.0), brightness, frame.width))
    return found


async def state(node: Node, channel: Channel) -> str:
    """The state of the channel's broadcast."""
    found = await asyncio.to_thread(node.broadcast, channel)
    return str((found or {}).get("state", "none"))


def sounds(tracks: dict[str, Track]) -> Track:
    """The audio rendition: Opus as it came, or what was made of it."""
    return next(tracks[name] for name in ("audio", "aac") if name in tracks)


async def recorded(node: Node, channel: Channel, seconds: float) -> dict[str, Track]:
    """Renditions as a player has them after some seconds."""
    async with HlsRecorder(node.hls(channel)) as recorder:
        await recorder.start()
        await recorder.wait_for(seconds, seconds + 20)
        recorder.raise_failure()
        return recorder.tracks


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "codec",
    ["video/H264", "video/VP8", pytest.param("video/VP9", marks=_SLOW), pytest.param("video/AV1", marks=_SLOW)],
)
async def test_browser_publishes(node: Node, page: Page, codec: str) -> None:
    channel = await asyncio.to_thread(node.channel, "whip")
    made = await publish(page, node, channel.key, codec)
    if made.get("missing"):
        pytest.skip(f"this Chromium has no {codec}")
    assert made["status"] == 201, made
    waited = await first_part(node, channel)
    print(f"{codec}: connected after {made['connect']:.0f} ms, first part {waited:.1f} s later")
    tracks = await recorded(node, channel, 5)
    name = "source" if "source" in tracks else "480p"  # players have no use for VP8 as it comes
    found = await asyncio.to_thread(shown, tracks[name])
    steps = [after[0] - before[0] for before, after in itertools.pairwise(found)]
    assert len(found) > 60
    assert max(steps) < 0.25
    widths = sorted({one[2] for one in found})
    print(f"{len(found)} pictures of {name}, steps {min(steps):.3f} to {max(steps):.3f} s, widths {widths}")
    heard = await asyncio.to_thread(sound, sounds(tracks))
    assert not heard.holes
    assert await state(node, channel) == "live"
    assert await page.evaluate(_LEAVE, made["location"]) == 200
    async with asyncio.timeout(15):
        while await state(node, channel) == "live":
            await asyncio.sleep(0.2)


async def test_sound_and_picture_are_in_step_from_the_first_second(node: Node, page: Page) -> None:
    channel = await asyncio.to_thread(node.channel, "clap")
    made = await publish(page, node, channel.key, source=_CLAPPER)
    assert made["status"] == 201, made
    tracks = await recorded(node, channel, 9)
    light = await asyncio.to_thread(shown, tracks["source"])
    flashes = [after[0] for before, after in itertools.pairwise(light) if before[1] < 128 <= after[1]]
    heard = await asyncio.to_thread(sound, sounds(tracks))
    beeps = [beep for beep in heard.beeps if flashes[0] - 0.5 < beep < flashes[-1] + 0.5]
    skews = [min((beep - flash for flash in flashes), key=abs) for beep in beeps]
    print(f"sound behind picture, s: {[round(skew, 3) for skew in skews]}")
    assert len(skews) >= 6
    assert all(abs(skew) < 0.15 for skew in skews[:2])
    assert sorted(map(abs, skews))[len(skews) * 3 // 4] < 0.08  # a busy machine paints a flash late now and then


async def test_layers_of_a_simulcast_become_renditions(node: Node, page: Page) -> None:
    channel = await asyncio.to_thread(node.channel, "layers")
    layers = [
        {"rid": "l", "scaleResolutionDownBy": 4, "maxBitrate": 150_000},
        {"rid": "m", "scaleResolutionDownBy": 2, "maxBitrate": 500_000},
        {"rid": "h", "maxBitrate": 2_500_000},
    ]
    made = await publish(page, node, channel.key, layers=layers)
    assert made["status"] == 201, made
    tracks = await recorded(node, channel, 6)
    assert {"source", "360p", "180p"} <= tracks.keys()
    widths = {name: {one[2] for one in await asyncio.to_thread(shown, tracks[name])} for name in ("source", "180p")}
    assert widths == {"source": {1280}, "180p": {320}}


async def test_over_tcp_where_udp_is_blocked(node: Node, page: Page) -> None:
    channel = await asyncio.to_thread(node.channel, "tcp")
    made = await publish(page, node, channel.key, keep=" tcp ")
    assert made["status"] == 201, made
    await first_part(node, channel)


async def test_an_ice_restart_breaks_nothing(node: Node, page: Page) -> None:
    channel = await asyncio.to_thread(node.channel, "restart")
    made = await publish(page, node, channel.key)
    await first_part(node, channel)
    assert await page.evaluate(_RESTART, [made["location"], made["etag"]]) == {"status": 200, "changed": True}
    tracks = await recorded(node, channel, 6)
    assert not tracks["source"].gaps
    assert await page.evaluate("() => window.peer.connectionState") == "connected"


async def test_a_wrong_key(node: Node, page: Page) -> None:
    made = await publish(page, node, "wrong")
    assert made["status"] == 401
    assert "unknown_key" in made["body"]


async def test_a_page_that_is_closed_ends_the_broadcast(node: Node, page: Page) -> None:
    channel = await asyncio.to_thread(node.channel, "gone")
    made = await publish(page, node, channel.key)
    assert made["status"] == 201, made
    await first_part(node, channel)
    await page.close()
    async with asyncio.timeout(25):
        while await state(node, channel) == "live":
            await asyncio.sleep(0.2)
