"""A rung whose encoder was replaced: what every rendition's playlist says of it, as players read it."""

import msgspec
import pytest
from origin_fakes import BROADCAST, Chunks, broadcast, rendition

from appliance.contracts.media import CHUNK_HEADER, ChunkFlag, ChunkHeader, Init
from appliance.contracts.subjects import media
from appliance.contracts.transcode import Reason, RungMode, RungsRecord, RungState
from edge.origin.config import OriginConfig
from edge.origin.feed import BroadcastFeed
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore
from edge.origin.playlists import Face
from edge.protocols.hls import media_parser
from edge.protocols.hls.media import MediaPlaylist
from edge.protocols.hls.reload import Directives

FAILED, CHANGED = 2, 4  # the segment in which the encoder died, and the one with which the next one begins


class Waiter:
    """A player that holds a request."""

    def claim(self) -> None: ...

    def answer(self, response) -> None: ...


class Viewer:
    """A followed broadcast of two renditions."""

    def __init__(self):
        tally = Tally()
        self.answers = []
        record = broadcast(ladder=["source", "720p"], has_audio=False)
        config, store = OriginConfig(), PartStore(1 << 20, tally)
        self.feed = BroadcastFeed(record, config, store, tally, lambda *said: self.answers.append(said), 0.0)
        self.chunks = {"source": Chunks(), "720p": Chunks()}
        for name in self.chunks:
            self.feed.set_rendition(rendition(name), 0.0)

    def announce(self, from_msn):
        record = rendition("720p")
        init = Init(init=1, data=b"init-720p-1", video=record.inits[0].video, from_msn=from_msn)
        self.feed.set_rendition(msgspec.structs.replace(record, inits=[*record.inits, init]), 0.0)

    def take(self, name, chunks):
        for header, data in chunks:
            self.feed.take(media(BROADCAST, name), {CHUNK_HEADER: header.encode()}, data, 0, 0.0)

    def parts(self, name, *, gap=False, count=4):
        """Of the segment that is open or begins."""
        chunks = self.chunks[name]
        for _ in range(count):
            found = chunks.next_part(last=chunks.part == 3)
            if gap:
                found = [(self._gap(header), b"") for header, _ in found]
            self.take(name, found)

    def _gap(self, header):
        flags = (header.flags | ChunkFlag.GAP) & ~ChunkFlag.INDEPENDENT
        return msgspec.structs.replace(header, flags=flags)

    def playlist(self, name) -> MediaPlaylist:
        response = self.feed.renditions[name].playlist(Face.LIVE, Directives(), gzip=False)
        return media_parser.parse(b"".join(response.body))


def changed():
    """The encoder of 720p dies in segment 2; segment 4 is announced while the source is in 3."""
    viewer = Viewer()
    for _ in range(FAILED):
        viewer.parts("source")
        viewer.parts("720p")
    viewer.parts("720p", count=1)
    viewer.parts("source")
    viewer.parts("source", count=2)
    viewer.announce(CHANGED)
    viewer.parts("720p", gap=True, count=3)
    viewer.parts("source", count=2)
    return viewer


def test_all_renditions_have_the_discontinuity_at_the_same_segment():
    viewer = changed()
    viewer.parts("source")
    viewer.parts("720p", gap=True)
    viewer.chunks["720p"].init = 1
    viewer.parts("720p")
    for _ in range(40):
        for name in ("source", "720p"):
            viewer.parts(name)
            found = viewer.playlist(name)
            first = found.media_sequence
            marked = [first + index for index, segment in enumerate(found.segments) if segment.discontinuity]
            assert marked == ([CHANGED] if first <= CHANGED else [])
            assert found.discontinuity_sequence == (0 if first <= CHANGED else 1)
    assert viewer.playlist("source").media_sequence > CHANGED, "it has left the window"


def test_the_rung_says_what_is_missing_and_where_the_other_init_begins():
    viewer = changed()
    viewer.parts("720p", gap=True)
    viewer.chunks["720p"].init = 1
    viewer.parts("720p")
    viewer.parts("720p", count=1)
    segments = viewer.playlist("720p").segments
    assert [segment.gap for segment in segments[:5]] == [False, False, True, True, False]
    assert [segment.map_uri for segment in segments[:5]] == ["i0.mp4", "", "", "", "i1.mp4"]
    assert [part.gap for part in segments[FAILED].parts] == [False, True, True, True]
    assert {segment.duration_us for segment in segments[:5]} == {2_000_000}, "times stay true"


def test_old_players_get_the_other_init_with_the_segment_that_begins_with_it():
    """VLC 3 begins a demuxer with what follows a discontinuity, without asking for its EXT-X-MAP."""
    viewer = changed()
    viewer.parts("720p", gap=True)
    viewer.chunks["720p"].init = 1
    viewer.parts("720p")
    viewer.parts("720p", count=1)
    feed = viewer.feed.renditions["720p"]
    text = b"".join(feed.playlist(Face.CLASSIC, Directives(), gzip=False).body)
    uris = [segment.uri for segment in media_parser.parse(text).segments]
    assert uris == ["s0.m4s", "s1.m4s", "s2.m4s", "s3.m4s", "d4.m4s"]
    whole = b"".join(feed.media("s4.m4s").body)
    assert b"".join(feed.media("d4.m4s").body) == b"init-720p-1" + whole
    assert viewer.playlist("720p").segments[CHANGED].uri == "s4.m4s"
    assert feed.media("d99.m4s") is None


def test_a_player_that_waits_for_a_part_that_is_missing_is_answered():
    viewer = changed()
    feed = viewer.feed.renditions["720p"]
    serial = viewer.chunks["720p"].serial
    assert feed.media(f"p{serial}.m4s") == serial, "hinted: held"
    feed.hold_part(serial, Waiter())
    viewer.parts("720p", gap=True, count=1)
    [(_, response)] = viewer.answers
    assert response.status == 404
    assert viewer.playlist("720p").hint_uri == f"p{serial + 1}.m4s"


def waited_for(viewer, name, *, gap=True):
    """What a player is told that waits for the part behind the next one."""
    feed = viewer.feed.renditions[name]
    at = feed.window.position
    feed.hold_playlist(Face.LIVE, Directives(msn=at.msn, part=at.part + 2), False, Waiter())
    viewer.parts(name, gap=gap, count=1)
    return [response.status for _, response in viewer.answers]


def test_who_waits_for_pictures_of_a_publisher_that_sends_sound_alone_changes_over():
    """A rung shows the last one on: who waits for the source would run dry."""
    viewer = Viewer()
    viewer.feed.tick(60.0)
    for name in ("source", "720p"):
        viewer.parts(name, count=5)
    assert waited_for(viewer, "720p", gap=False) == []
    assert waited_for(viewer, "source") == [400]
    alone = Viewer()
    alone.feed.tick(60.0)
    alone.parts("source", count=5)
    alone.parts("720p", gap=True, count=5)
    assert waited_for(alone, "source") == [], "no rendition has pictures"


@pytest.mark.parametrize(("contributed", "refused"), [(["720p"], [400]), ([], [])])
def test_who_waits_for_a_track_that_the_publisher_sends_no_more_changes_over(contributed, refused):
    viewer = Viewer()
    record = msgspec.structs.replace(viewer.feed.record, contributed=contributed)
    viewer.feed.set_record(record, 60.0)
    viewer.feed.tick(60.0)
    viewer.parts("source", count=5)
    viewer.parts("720p", count=5)
    assert waited_for(viewer, "720p") == refused


@pytest.mark.parametrize(("ladder", "refused"), [(["source"], True), (["source", "720p"], False)])
def test_who_asks_for_what_follows_in_a_rendition_that_was_given_up_changes_over(ladder, refused):
    viewer = Viewer()
    viewer.feed.tick(60.0)
    viewer.parts("source", count=5)
    viewer.parts("720p", gap=True, count=5)
    viewer.feed.set_record(msgspec.structs.replace(viewer.feed.record, ladder=ladder), 60.0)
    feed = viewer.feed.renditions["720p"]
    at = feed.window.position
    answer = feed.playlist(Face.LIVE, Directives(msn=at.msn, part=at.part + 2), gzip=False)
    assert (answer is not None and answer.status == 400) == refused


@pytest.mark.parametrize(("reason", "refused"), [(Reason.IDLE, [400]), (Reason.LOAD, [])])
def test_a_rung_that_rests_shows_the_last_picture_as_soon_as_it_is_asked_for(reason, refused):
    viewer = Viewer()
    viewer.feed.tick(60.0)
    state = RungState(name="720p", mode=RungMode.PAUSED, reason=reason)
    viewer.feed.set_rungs(RungsRecord(broadcast_id=BROADCAST, worker="w", changed_at_ms=0, rungs=[state]), 60.0)
    viewer.parts("source", count=5)
    viewer.parts("720p", gap=True, count=5)
    assert waited_for(viewer, "source") == refused


def test_the_header_of_a_gap_part_is_no_gap_segment():
    part = ChunkHeader(0, 7, 1, 0, 9, ChunkFlag.GAP | ChunkFlag.LAST_OF_PART, 0, 1, 0, 0)
    whole = msgspec.structs.replace(part, part=0, flags=part.flags | ChunkFlag.LAST_OF_SEGMENT)
    assert (part.is_gap_segment, part.next_serial) == (False, 10)
    assert (whole.is_gap_segment, whole.next_serial) == (True, 9)
