"""The WHEP role against a real log, watched by an independent WebRTC peer."""

import asyncio
import contextlib
import dataclasses
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.grants import Grant, GrantKeyRecord, RevocationRecord, write_grant
from appliance.contracts.media import AudioFormat, BroadcastState, Init, Rendition
from appliance.contracts.subjects import DIRECTORY_BUCKET, LEASE_BUCKET, channel_key, grant_key, revocation_key
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.signing import SigningKey
from appliance.runtime.streams import BucketSpec
from edge.access.hashes import Hashes
from edge.origin.audience import Audience
from edge.origin.metrics import Tally
from edge.origin.site_audience import SiteAudience
from edge.protocols.fmp4 import AudioTrack, fragment, init_segment, read_fragments
from edge.protocols.webrtc.rtcp import negative_acknowledgement, receiver_report
from edge.protocols.webrtc.rtp import RtpPacket, restore_retransmission
from edge.transcode.chunks import SourceChunk
from edge.whep.config import WhepConfig
from edge.whep.service import WhepService
from tests.integration.transcode.transcode_site import BROADCAST, Site, h264_record, live, make_site
from tests.media_tools.raw_viewer import AUDIO, VIDEO, RawViewer
from tests.media_tools.whep_viewer import Answered, Seen, WhepViewer
from tests.unit.transcode.encoded_sources import Encoded, Sound, chunks_of, level_of, picture_source, sound_source

GOP = 15
SECONDS = 5
CHANNEL, USER = str(uuid.UUID(int=7)), str(uuid.UUID(int=9))
CONFIG = WhepConfig(host="127.0.0.1", port=0, hosts=("127.0.0.1",), ready_s=1.0)


class Stage:
    """A running role, its site, and a publisher that appends in real time."""

    def __init__(self, site: Site, service: WhepService, picture: Encoded, sound: Sound) -> None:
        self.site = site
        self.service = service
        self._pictures = chunks_of(picture.samples, picture.form, segments=range(0, SECONDS * 30, GOP))
        per_segment = 24
        segments = range(0, len(sound.samples), per_segment)
        self._sounds = chunks_of(
            sound.samples, sound.form, segments=segments, timescale=48_000, per_chunk=5, sequence=1
        )
        self.record = h264_record(picture, 320, 180)
        audio = AudioTrack(config=sound.form.extradata, timescale=48_000, channels=2)
        described = AudioFormat(codec="mp4a.40.2", sample_rate=48_000, channels=2)
        init = Init(init=0, data=init_segment(audio), audio=described)
        self.audio = Rendition(broadcast_id=BROADCAST, name="audio", timescale=48_000, bandwidth=1, inits=[init])

    async def go_live(self, **changes: object) -> None:
        """Records, and two segments that were there before."""
        await self.site.put(self.record)
        await self.site.put(self.audio)
        await self.site.put(live(ladder=["source"], has_audio=True, **changes))
        await self.site.append("source", self._pictures[:12])

    async def publish(self) -> None:
        """The rest, in real time."""
        began = time.monotonic()
        for number, chunk in enumerate(self._pictures[12:]):
            await asyncio.sleep(max(0.0, began + number * 0.1 - time.monotonic()))
            await self.site.append("source", [chunk])
            at = (number + 12) * 0.1
            due = [one for one in self._sounds if at <= one.header.dts / 48_000 < at + 0.1]
            await self.site.append("audio", due)

    async def ask(self, method: str, path: str, body: str = "", fields: dict[str, str] | None = None) -> Answered:
        """A request as it comes from the origin."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body.encode())}"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        self.service.server.adopt(theirs, "\r\n".join([*lines, "", ""]).encode(), "127.0.0.1")
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(body.encode())
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, *rest = head.strip().split("\r\n")
            found = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
            content = await reader.readexactly(int(found.get("content-length", "0")))
        writer.close()
        return Answered(int(status.split()[1]), found, content.decode())

    async def offer(self, path: str, kind: str = "application/sdp", body: str = "v=0") -> Answered:
        """A POST of something."""
        return await self.ask("POST", path, body, {"content-type": kind})


@pytest.fixture(scope="session")
def sources() -> tuple[Encoded, Sound]:
    """Picture and sound, encoded before any loop runs."""
    picture = picture_source("libx264", SECONDS * 30, GOP)
    return picture, sound_source("aac", SECONDS, 48_000, (1.0,))


@pytest.fixture
async def stage(sources: tuple[Encoded, Sound], bus: Bus, tmp_path: Path) -> AsyncIterator[Stage]:
    failures: list[BaseException] = []
    site = await make_site(bus)
    await bus.ensure_bucket(BucketSpec(DIRECTORY_BUCKET))
    channel = ChannelRecord(channel_id=CHANNEL, channel="alice", user_id=USER)
    await bus.bucket(DIRECTORY_BUCKET).put(channel_key(CHANNEL), msgspec.json.encode(channel))
    service = WhepService(
        CONFIG, local=bus, fed=bus, socket_path=tmp_path / "whep.sock", on_failure=failures.append
    )
    await service.start()
    yield Stage(site, service, *sources)
    await service.drain()
    await service.stop()
    assert not failures


async def test_a_viewer_sees_and_hears_it(stage: Stage) -> None:
    await stage.go_live()
    seen: dict[str, list[Seen]] = {"video": [], "audio": []}
    publishing = asyncio.ensure_future(stage.publish())
    async with WhepViewer(stage.ask, "alice", lambda kind, one: seen[kind].append(one)) as viewer:
        await viewer.until(lambda: viewer.counts["video"] >= 45 and viewer.counts["audio"] >= 40)
        shown = [bytes(one.frame.planes[0])[0] for one in seen["video"]]
        levels = [level_of(number) for number in range(SECONDS * 30)]
        first = min(range(len(levels)), key=lambda at: abs(levels[at] - shown[0]))
        wrong = [at for at, level in enumerate(shown) if abs(level - levels[first + at]) > 2]
        assert not wrong
        steps = [after.media_s - before.media_s for before, after in pairwise(seen["video"])]
        assert all(step > 0 for step in steps)
        assert stage.service._watchers() == {BROADCAST: {"source": 1}}
        publishing.cancel()
        await stage.site.put(live(ladder=["source"], has_audio=True, state=BroadcastState.ENDED))
        await viewer.until(lambda: viewer.is_closed)
        assert (await stage.ask("DELETE", viewer.location)).status == 200


async def test_refusals_are_in_words(stage: Stage) -> None:
    assert (await stage.offer("/whep/nobody")).status == 404
    assert (await stage.offer("/whep/alice")).status == 410
    await stage.go_live()
    await asyncio.sleep(0.05)
    assert (await stage.offer("/whep/alice", "text/plain")).status == 415
    assert (await stage.offer("/whep/alice")).status == 400
    assert (await stage.offer("/whep/")).status == 404
    assert (await stage.ask("GET", "/whep/alice")).status == 405
    options = await stage.ask("OPTIONS", "/whep/alice")
    assert options.status == 204
    assert "Location" in options.fields["access-control-expose-headers"]
    assert "Link" in options.fields["access-control-expose-headers"]


async def test_a_channel_that_is_not_for_everybody(stage: Stage) -> None:
    await stage.go_live()
    directory = stage.site.bus.bucket(DIRECTORY_BUCKET)
    key = SigningKey(b"k" * 32)
    known = GrantKeyRecord(key_id=key.key_id, public=key.public.hex())
    await directory.put(grant_key(key.key_id), msgspec.json.encode(known))
    async with RawViewer(stage.ask, "alice") as viewer:
        channel = ChannelRecord(channel_id=CHANNEL, channel="alice", user_id=USER, access=Access.SUBSCRIBERS)
        await directory.put(channel_key(CHANNEL), msgspec.json.encode(channel))
        async with asyncio.timeout(3):
            await viewer.closed.wait()
    refused = await stage.offer("/whep/alice")
    assert refused.status == 401
    assert "index.m3u8" in refused.fields["link"]
    assert 'error="missing"' in refused.fields["www-authenticate"]
    grant = _grant(key)
    async with RawViewer(stage.ask, "alice", before=f"/g/{grant}") as viewer:
        void = RevocationRecord(user_id=USER, until_ms=now_ms())
        await directory.put(revocation_key("r1"), msgspec.json.encode(void))
        async with asyncio.timeout(3):
            await viewer.closed.wait()
    assert (await stage.offer(f"/g/{grant}/whep/alice")).status == 403


def _grant(key: SigningKey) -> str:
    now = now_ms()
    made = Grant(
        key_id=key.key_id,
        root=key.key_id,
        channel_id=CHANNEL,
        user_id=USER,
        issued_ms=now,
        expires_ms=now + 60_000,
        until_ms=now + 60_000,
    )
    return write_grant(made, key.sign(made.payload()))


async def test_viewers_are_told_to_those_who_count(stage: Stage) -> None:
    await stage.go_live()
    told = stage.site.bus.bucket(LEASE_BUCKET)
    site = SiteAudience(Audience(Hashes(b"key"), Tally()), "0", Tally(), time.monotonic)
    async with RawViewer(stage.ask, "alice"), RawViewer(stage.ask, "alice"):
        async with asyncio.timeout(5):
            while site.viewers(BROADCAST) != 2:
                for key, value in await told.items():
                    site.heard(key, value)
                await asyncio.sleep(0.05)
    assert site.leads(time.monotonic())  # it is an origin that speaks for the site


async def test_pictures_out_of_order_are_not_offered(stage: Stage) -> None:
    pictures = stage._pictures
    stage._pictures = [_reordered(chunk) for chunk in pictures]
    await stage.go_live()
    async with WhepViewer(stage.ask, "alice") as viewer:
        assert viewer.answered is not None
        assert viewer.answered.status == 406
        assert "B-frames" in viewer.answered.body
        assert viewer.answered.fields["link"].startswith('</live/alice/index.m3u8>; rel="alternate"')


async def test_a_full_server_names_another_way(stage: Stage) -> None:
    await stage.go_live()
    stage.service.server._config = dataclasses.replace(CONFIG, viewers=1)
    async with WhepViewer(stage.ask, "alice") as one, WhepViewer(stage.ask, "alice") as two:
        assert one.answered is not None
        assert one.answered.status == 201
        assert two.answered is not None
        assert two.answered.status == 503
        assert "retry-after" in two.answered.fields
        assert "index.m3u8" in two.answered.fields["link"]


def _reordered(chunk: SourceChunk) -> SourceChunk:
    """As an encoder with B-frames sends it."""
    samples = [sample for piece in read_fragments(chunk.data) for sample in piece.samples]
    moved = [sample.replace(cts=3000 * (number % 2)) for number, sample in enumerate(samples)]
    return chunk._replace(data=fragment(1, 1, chunk.header.dts, moved))


async def test_twenty_viewers_get_the_same_packets(stage: Stage) -> None:
    await stage.go_live()
    publishing = asyncio.ensure_future(stage.publish())
    viewers = 20
    seen: list[list[bytes]] = [[] for _ in range(viewers)]

    def look(number: int) -> Callable[[RtpPacket], None]:
        return lambda packet: seen[number].append(packet.payload) if packet.payload_type == VIDEO else None

    async with contextlib.AsyncExitStack() as stack:
        watching = [
            await stack.enter_async_context(RawViewer(stage.ask, "alice", look(number)))
            for number in range(viewers)
        ]
        async with asyncio.timeout(10):
            while min(map(len, seen)) < 50 or min(one.packets[AUDIO] for one in watching) < 20:
                await asyncio.sleep(0.05)
        assert stage.service._watchers() == {BROADCAST: {"source": viewers}}
        await stage.service.server.stop()
        async with asyncio.timeout(5):
            for one in watching:
                await one.closed.wait()
        assert all(one[-30:] == seen[0][-30:] for one in seen)
    publishing.cancel()


async def test_what_a_viewer_misses_is_sent_again(stage: Stage) -> None:
    await stage.go_live()
    publishing = asyncio.ensure_future(stage.publish())
    seen: list[RtpPacket] = []
    async with RawViewer(stage.ask, "alice", seen.append) as viewer:
        async with asyncio.timeout(5):
            while sum(packet.payload_type == VIDEO for packet in seen) < 10:
                await asyncio.sleep(0.02)
        lost = next(packet for packet in seen if packet.payload_type == VIDEO)
        viewer.feed_back(
            receiver_report(1) + negative_acknowledgement(1, lost.ssrc, [lost.sequence, lost.sequence + 1 & 0xFFFF])
        )
        async with asyncio.timeout(5):
            while sum(packet.payload_type == 97 for packet in seen) < 2:
                await asyncio.sleep(0.02)
        again = next(packet for packet in seen if packet.payload_type == 97)
        restored = restore_retransmission(again, VIDEO, lost.ssrc)
        assert restored is not None
        assert (restored.sequence, restored.payload) == (lost.sequence, lost.payload)
        assert (await stage.ask("DELETE", viewer.location)).status == 200
        async with asyncio.timeout(5):
            await viewer.closed.wait()
    publishing.cancel()
