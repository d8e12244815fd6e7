"""What a viewer is sent: the first picture at once, then the live ones, then another rendition's."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from webrtc_bytes import offer

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.media.rung_choice import Step
from edge.net.certificate import Identity
from edge.net.udp import MediaPort
from edge.protocols.fmp4 import Sample, fragment
from edge.protocols.webrtc.errors import NoCodecError
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.sdp import parse_offer
from edge.protocols.webrtc.viewing import negotiate_viewer, stream_form
from edge.whep import session as sessions
from edge.whep.admission import Ticket
from edge.whep.config import WhepConfig
from edge.whep.rung import RungFeed
from edge.whep.session import WhepSession
from edge.whep.unit import AvcForm, Batch, Unit

VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97 98
a=recvonly
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=0;profile-level-id=42e01f
a=rtpmap:97 H264/90000
a=fmtp:97 packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:97 nack
a=rtpmap:98 rtx/90000
a=fmtp:98 apt=97
"""
IDENTITY = Identity(0.0)
CONFIG = WhepConfig(host="127.0.0.1", port=0, hosts=())
FORM = AvcForm(4, (b"\x67sps", b"\x68pps"), "42e0")
GOP, FRAME = 10, 3000


class FakeRelay:
    """Two renditions, no log."""

    def __init__(self) -> None:
        self.feeds = {name: RungFeed(name, 90_000) for name in ("source", "360p")}
        self.anchor = None

    def steps(self) -> list[Step]:
        every = [Step("source", 3_000_000), Step("360p", 800_000)]
        return [step for step in every if not self.feeds[step.name].unfit]

    def rung(self, name: str) -> RungFeed:
        return self.feeds[name]

    def leave(self, viewer: Any) -> None:
        for feed in self.feeds.values():
            feed.viewers.discard(viewer)


class Watching:
    """A session whose packets are kept instead of sent: (rendition's number in the payload, media, ends)."""

    def __init__(self) -> None:
        self.relay = FakeRelay()
        self.sent: list[tuple[bytes, int, bool]] = []
        parsed = parse_offer(offer(VIDEO))
        negotiated = negotiate_viewer(parsed)
        forms = {one.section.kind: stream_form(one, 2, 3) for one in negotiated.chosen}
        self.session = WhepSession(
            parsed,
            negotiated,
            forms,
            agent=IceAgent("a", "b", 0.0),
            identity=IDENTITY,
            config=CONFIG,
            port=MediaPort(1),
            relay=self.relay,  # type: ignore[arg-type]
            feed=self.relay.feeds["source"],
            on_over=lambda _: None,
            ticket=Ticket("alice", "", ""),
            address="x",
            now=0.0,
        )
        self.session._send = self._keep  # type: ignore[method-assign]

    def _keep(self, kind: str, payloads: list[bytes], media: int, *, ends_frame: bool) -> None:
        self.sent += [(payload, media, ends_frame) for payload in payloads]

    def unit(self, name: str, number: int, *, packets: int = 1) -> None:
        """Picture `number` of a rendition leaves."""
        payloads = [name.encode()] * packets
        made = Unit(number, number // GOP, number % GOP == 0, number * FRAME, 1 / 30, payloads)
        for viewer in list(self.relay.feeds[name].viewers):
            viewer.picture(self.relay.feeds[name], Batch(made, 0, packets))


@pytest.fixture
async def watching() -> Watching:
    return Watching()


def chunk(first: int, count: int) -> tuple[ChunkHeader, bytes]:
    """Pictures as the part log has them."""
    samples = [
        Sample(
            number * FRAME,
            FRAME,
            0,
            number % GOP == 0,
            b"\0\0\0\3" + (b"\x65xx" if number % GOP == 0 else b"\x41xx"),
        )
        for number in range(first, first + count)
    ]
    header = ChunkHeader(1, first // GOP, 0, 0, 0, ChunkFlag.NONE, first * FRAME, count * FRAME, 0, 0)
    return header, fragment(1, 1, first * FRAME, samples)


async def test_the_first_picture_comes_at_once_and_the_rest_is_shown_as_one(watching: Watching) -> None:
    feed = watching.relay.feeds["source"]
    for first in (0, 5, 10, 15):
        feed.take(*chunk(first, 5), FORM, caught_up=first == 15)
    assert feed.ready.is_set()
    watching.session._begin(feed)
    medias = [media for _, media, _ in watching.sent]
    assert len(watching.sent) == 10
    assert watching.sent[0][0][0] & 0x1F == 24  # parameter sets and key frame together
    assert medias[-1] == 19 * FRAME
    assert all(0 < after - before < FRAME for before, after in itertools.pairwise(medias))
    feed.take(*chunk(20, 2), FORM, caught_up=True)
    await asyncio.sleep(0.05)
    assert [media for _, media, _ in watching.sent[10:]] == [20 * FRAME, 21 * FRAME]


async def test_b_frames_make_it_unfit(watching: Watching) -> None:
    feed = watching.relay.feeds["source"]
    header, _ = chunk(0, 2)
    samples = [Sample(0, FRAME, 0, True, b"\0\0\0\1\x65"), Sample(FRAME, FRAME, FRAME, False, b"\0\0\0\1\x41")]
    feed.take(header, fragment(1, 1, 0, samples), FORM, caught_up=True)
    assert "B-frames" in feed.unfit


async def test_it_waits_for_a_key_frame(watching: Watching) -> None:
    watching.session._begin(watching.relay.feeds["source"])
    for number in range(7, 13):
        watching.unit("source", number)
    assert [media // FRAME for _, media, _ in watching.sent] == [10, 11, 12]


@pytest.mark.parametrize("late", [-6, 0, 6])
async def test_another_rendition_begins_where_segments_meet(watching: Watching, late: int) -> None:
    """`late`: pictures by which the other rendition is behind the first one."""
    session = watching.session
    session._begin(watching.relay.feeds["source"])
    _flow(watching, range(14), late)
    session._choice.reported(0.5, 10.0)
    session._adapt(10.0)
    assert watching.session._next is watching.relay.feeds["360p"]
    _flow(watching, range(14, 45), late)
    assert session.rendition == "360p"
    names = [payload.decode() for payload, _, _ in watching.sent]
    medias = [media for _, media, _ in watching.sent]
    assert [name for name, _ in itertools.groupby(names)] == ["source", "360p"]
    assert all(after > before for before, after in itertools.pairwise(medias))
    assert medias[names.index("360p")] % (GOP * FRAME) == 0
    assert not watching.relay.feeds["source"].viewers


def _flow(watching: Watching, numbers: Iterator[int] | range, late: int) -> None:
    for number in numbers:
        watching.unit("source", number)
        if number - late >= 0:
            watching.unit("360p", number - late)


async def test_a_rendition_that_does_not_come_is_given_up(watching: Watching) -> None:
    session = watching.session
    session._begin(watching.relay.feeds["source"])
    for number in range(14):
        watching.unit("source", number)
    session._choice.reported(0.5, 10.0)
    session._adapt(10.0)
    for number in range(14, 30):
        watching.unit("source", number)
    assert watching.sent[-1][1] == 19 * FRAME
    session._adapt(30.0)
    for number in range(30, 35):
        watching.unit("source", number)
    assert watching.sent[-1][1] == 34 * FRAME
    assert not watching.relay.feeds["360p"].viewers


async def test_an_encoder_that_begins_to_reorder_moves_its_viewers_and_then_ends_them(watching: Watching) -> None:
    session, feeds = watching.session, watching.relay.feeds
    session._begin(feeds["source"])
    _flow(watching, range(14), 0)
    feeds["source"].refuse("B-frames")
    session._adapt(10.0)
    _flow(watching, range(14, 25), 0)
    assert session.rendition == "360p"
    feeds["360p"].refuse("B-frames")
    session._adapt(12.0)
    assert session.is_over


async def test_what_waits_behind_a_burst_is_bounded(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_BEHIND", 20)
    session = watching.session
    session._waiting.append(([b"x"], 0, True))
    session._begin(watching.relay.feeds["source"])
    session._waits_for_key = False
    for number in range(1, 9):
        watching.unit("source", number, packets=5)
    assert sum(len(payloads) for payloads, _, _ in session._waiting) <= 20


def test_packetization_mode_1_is_chosen() -> None:
    [video] = negotiate_viewer(parse_offer(offer(VIDEO))).chosen
    assert (video.codec.payload_type, video.codec.rtx) == (97, 98)
    with pytest.raises(NoCodecError):
        negotiate_viewer(parse_offer(offer(VIDEO.replace("mode=1", "mode=0"))))
    with pytest.raises(NoCodecError):
        negotiate_viewer(parse_offer(offer(VIDEO.replace("recvonly", "sendonly"))))
