"""What happens in a broadcast besides its media."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_fakes import KEY, FakeReplica
from test_ingest_service import Site, broadcast, until

from appliance.contracts import subjects
from appliance.contracts.directory import ChannelRecord
from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import Broadcast, BroadcastState
from appliance.contracts.moments import MAX_TEXT, MOST, Moment, MomentKind, MomentRequest, Moments, plain
from edge.ingest.moments import MomentBook

ONE = Broadcast(broadcast_id="b", channel_id="c", channel="c", user_id="u", edge_id="edge1")


class Shelf:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def put(self, key: str, record: msgspec.Struct) -> None:
        self.values[key] = msgspec.json.encode(record)

    def moments(self) -> list[tuple[MomentKind, str]]:
        data = self.values.get("moments.b")
        return [(one.kind, one.text) for one in msgspec.json.decode(data, type=Moments).moments] if data else []


def book(shelf: Shelf) -> MomentBook:
    return MomentBook(FakeReplica(shelf.values), shelf)  # type: ignore[arg-type]


def channel(title: str = "", category: str = "") -> ChannelRecord:
    return ChannelRecord(channel_id="c", channel="c", user_id="u", title=title, category=category)


def test_a_title_that_changes_is_a_moment_and_the_first_one_is_not() -> None:
    shelf = Shelf()
    moments = book(shelf)
    for title, category in (("a", "x"), ("a", "x"), ("b", "x"), ("b", "y"), ("c", "z")):
        moments.look(ONE, channel(title, category))
    assert shelf.moments() == [
        (MomentKind.TITLE, "b"), (MomentKind.CATEGORY, "y"), (MomentKind.TITLE, "c"), (MomentKind.CATEGORY, "z"),
    ]  # fmt: skip


def test_a_successor_goes_on_with_what_is_known() -> None:
    shelf = Shelf()
    first = book(shelf).add(ONE, MomentKind.MARKER, "one", 1)
    second = book(shelf).add(ONE, MomentKind.MARKER, "two", 2)
    assert shelf.moments() == [(MomentKind.MARKER, "one"), (MomentKind.MARKER, "two")]
    assert first.moment_id != second.moment_id


def test_a_marker_that_is_tried_again_is_set_once() -> None:
    shelf = Shelf()
    first = book(shelf).mark(ONE, "goal", "u:k1")
    assert book(shelf).mark(ONE, "goal", "u:k1") == first, "a successor knows it too"
    for text, nonce in (("another", "u:k1"), ("goal", "u:k2"), ("goal", ""), ("goal", "")):
        assert book(shelf).mark(ONE, text, nonce).moment_id != first.moment_id
    assert [text for _, text in shelf.moments()] == ["goal", "another", "goal", "goal", "goal"]


def test_the_oldest_are_forgotten() -> None:
    shelf = Shelf()
    moments = book(shelf)
    for number in range(MOST + 5):
        moments.add(ONE, MomentKind.MARKER, str(number), number)
    assert [text for _, text in shelf.moments()] == [str(number) for number in range(5, MOST + 5)]


def test_an_encoder_that_never_stops_talking_is_heard_now_and_then() -> None:
    shelf = Shelf()
    moments = book(shelf)
    for number in range(MOST + 50):
        moments.cue(ONE, f"cue {number}", 1)
    assert shelf.moments()[-1] == (MomentKind.CUE, f"cue {MOST - 1}")
    moments.cue(ONE, "later", 1001)
    assert shelf.moments()[-1] == (MomentKind.CUE, "later")
    moments.cue(ONE, "\n", 60_000)
    assert shelf.moments()[-1] == (MomentKind.CUE, "later"), "a cue without text"


@given(st.text())
def test_plain_text_can_stand_in_a_playlist(text: str) -> None:
    found = plain(text)
    assert len(found) <= MAX_TEXT
    assert found.isprintable() and '"' not in found
    assert plain(found) == found


@pytest.fixture
async def site():
    made = Site()
    yield made
    await made.close()


async def test_the_streamer_marks_what_is_on_the_air(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service, KEY)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (record,) = site.log.broadcasts()
    bus = service._local
    request = MomentRequest(broadcast_id=record.broadcast_id, text=" well  played ")
    answer = await bus.request(subjects.ingest_moment("edge1"), msgspec.json.encode(request))
    moment = msgspec.json.decode(answer, type=Moment)
    assert (moment.kind, moment.text) == (MomentKind.MARKER, "well played")
    await until(lambda: subjects.moments_key(record.broadcast_id) in site.log.live)
    other = MomentRequest(broadcast_id="another", text="x")
    with pytest.raises((TimeoutError, UnavailableError)):
        await bus.request(subjects.ingest_moment("edge1"), msgspec.json.encode(other), timeout_s=0.05)
    client.writer.write(client.encoder.metadata("onCuePoint", {"name": "goal"}))
    key = subjects.moments_key(record.broadcast_id)
    await until(lambda: b"goal" in site.log.live[key])
    await asyncio.sleep(0)
