"""When an origin that has just begun to follow a broadcast answers: a playlist's end never goes back."""

import pytest
from origin_fakes import BROADCAST, Chunks, broadcast, rendition

from appliance.contracts.media import CHUNK_HEADER
from appliance.contracts.subjects import media
from edge.origin.config import OriginConfig
from edge.origin.feed import BroadcastFeed
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore


@pytest.mark.parametrize(
    ("read", "until"),
    [
        ([], 2.0),  # nothing lies in the log
        ([(0.1, 3), (0.2, 0)], 0.2),
        ([(0.1, 3), (1.0, 2), (1.9, 3)], 2.0),  # it is never quiet
        ([(0.1, 900), (2.5, 400), (3.5, 100), (3.6, 10)], 3.6),  # a machine with more to do than it can
        ([(0.1, 900), (15.0, 900)], 20.0),  # it never gets there
    ],
)
def test_it_has_caught_up_when_hardly_anything_is_behind(read: list[tuple[float, int]], until: float) -> None:
    """`read`: when a chunk is read, and how many are behind it."""
    record = broadcast(ladder=["source"], has_audio=False)
    tally = Tally()
    feed = BroadcastFeed(record, OriginConfig(), PartStore(1 << 20, tally), tally, lambda *_: None, 0.0)
    feed.set_rendition(rendition("source"), 0.0)
    chunks = Chunks()
    coming = list(read)
    for tenth in range(1, 210):
        now = tenth / 10
        while coming and coming[0][0] <= now:
            _, pending = coming.pop(0)
            [(header, data), *_] = chunks.next_part(last=chunks.part == 3)
            feed.take(media(BROADCAST, "source"), {CHUNK_HEADER: header.encode()}, data, pending, now)
        feed.tick(now)
        if feed.caught_up:
            break
    assert now == until
