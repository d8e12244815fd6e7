"""When an origin takes no further viewers: parts come late, for seconds on end, and it is busy."""

from origin_fakes import BROADCAST, Chunks, broadcast, rendition

from appliance.contracts.media import CHUNK_HEADER, ChunkFlag, ChunkHeader
from appliance.contracts.subjects import media
from edge.origin.config import OriginConfig
from edge.origin.crowding import FULL, Crowding
from edge.origin.feed import BroadcastFeed
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore

PART_S, PARTS = 0.5, 10  # a part lasts, parts in a turn


class Watched:
    """A crowding with clocks of its own."""

    def __init__(self):
        self.wall_us, self.cpu_s, self.now = 1_800_000_000_000_000, 7.0, 100.0
        self.crowding = Crowding(lambda: self.wall_us, lambda: self.cpu_s)
        self.crowding.tick(self.now)

    def turn(self, late, *, busy=0.5, parts=PARTS, age_s=0.3, flags=ChunkFlag.LAST_OF_PART):
        """Whether it is full after half a second with `late` of `parts` parts late."""
        for index in range(parts):
            age_us = round((age_s if index < late else 0.02) * 1e6)
            header = ChunkHeader(1, 0, index, 0, index, flags, 0, 1, 1, 0, late_us=self.wall_us - age_us)
            self.crowding.heard(header, PART_S)
        self.now += 0.5
        self.cpu_s += busy / 2
        self.crowding.tick(self.now)
        return self.crowding.is_full


def test_it_is_full_when_most_parts_are_late_twice_in_a_row():
    watched = Watched()
    assert [watched.turn(6) for _ in range(2)] == [False, True]
    assert FULL._value.get() == 1


def test_a_short_stall_and_a_few_late_parts_are_nothing():
    watched = Watched()
    assert not any(watched.turn(late) for late in (10, 0, 10, 5, 10, 5, 5, 5))


def test_parts_that_come_in_half_of_their_time_are_in_time():
    watched = Watched()
    assert not any(watched.turn(10, age_s=0.24) for _ in range(5))


def test_a_process_with_little_to_do_refuses_nobody():
    watched = Watched()
    assert not any(watched.turn(10, busy=0.1) for _ in range(10))


def test_what_is_no_end_of_a_part_and_what_a_clock_made_old_do_not_count():
    watched = Watched()
    assert not any(watched.turn(10, flags=ChunkFlag.NONE) for _ in range(5))
    assert not any(watched.turn(10, age_s=3600) for _ in range(5))


def test_it_opens_again_after_ten_good_turns():
    watched = Watched()
    while not watched.turn(10):
        pass
    assert all(watched.turn(late) for late in (*[1] * 9, 2, *[0] * 9))
    assert not watched.turn(1)
    assert FULL._value.get() == 0


def test_it_opens_again_when_nothing_is_on_the_air():
    watched = Watched()
    while not watched.turn(10):
        pass
    assert [watched.turn(0, parts=0, busy=0.01) for _ in range(10)] == [True] * 9 + [False]


def test_a_turn_in_which_it_read_nothing_changes_nothing():
    watched = Watched()
    assert [watched.turn(10), watched.turn(0, parts=0), watched.turn(10)] == [False, False, True]
    assert all(watched.turn(0, parts=0) for _ in range(20))


def test_parts_of_the_source_that_are_read_as_they_come_count():
    watched, tally, chunks = Watched(), Tally(), Chunks()
    store = PartStore(1 << 20, tally)
    feed = BroadcastFeed(broadcast(), OriginConfig(), store, tally, lambda *_: None, 0.0, watched.crowding)
    for name in ("source", "audio", "360p"):
        feed.set_rendition(rendition(name), 0.0)

    def take(name, pending):
        [(header, data), *_] = chunks.next_part()
        late_us = watched.wall_us - 900_000
        fields = {name: getattr(header, name) for name in header.__struct_fields__} | {"late_us": late_us}
        feed.take(media(BROADCAST, name), {CHUNK_HEADER: ChunkHeader(**fields).encode()}, data, pending, 1.0)

    for pending in (5, 4, 0):
        take("source", pending)
    assert watched.crowding._parts == 0, "what was there before it began to read is old by its nature"
    take("source", 0)
    take("360p", 0)
    assert (watched.crowding._parts, watched.crowding._late) == (1, 1)


async def test_new_viewers_are_refused_and_those_who_watch_go_on(make_origin):
    origin = await make_origin()
    origin.go_live()
    origin.add_segments(4)
    client = await origin.client()
    assert (await client.get("/live/alice/index.m3u8")).status == 200
    origin.crowding.is_full = True
    for name in ("index", "classic", "audio"):
        answer = await client.get(f"/live/alice/{name}.m3u8")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["cache-control"] == "no-store"
        assert b"as many viewers as it can take" in answer.raw
    assert (await client.get(f"/media/{BROADCAST}/source/index.m3u8")).status == 200
    assert origin.tally.events["over_crowded"] == 3
