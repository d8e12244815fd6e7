"""Where messages lie in Cassandra and how long: arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import EventKind, RoomEvent
from coordinator.chat_history.cassandra import buckets
from coordinator.chat_history.models import removal_of

moments = st.integers(buckets.DAY_MS, 4_000_000_000_000)
ids = st.builds(uuid7, moments, st.binary(min_size=10, max_size=10))


@given(ids, ids | st.just(""), ids | st.just(""))
def test_bounds_take_exactly_what_lies_in_a_bucket_and_between(one: str, after: str, before: str) -> None:
    bucket = buckets.bucket_of(one)
    least, most = buckets.bounds(bucket, after, before)
    assert (least < one < most) == (after < one and (not before or one < before))
    for other in (bucket - 1, bucket + 1):
        least, most = buckets.bounds(other, "", "")
        assert not least < one < most


@given(moments, st.integers(0, 3 * buckets.DAY_MS))
def test_a_span_stands_in_every_day_it_touches(since: int, length: int) -> None:
    touched = buckets.days(since, since + length)
    assert {buckets.day_of(since), buckets.day_of(since + length)} <= set(touched)
    assert buckets.DAY_MS % buckets.BUCKET_MS == 0


@given(moments, moments)
def test_a_mark_outlives_what_it_marks(at_ms: int, now_ms: int) -> None:
    left = buckets.seconds_left(at_ms, now_ms)
    assert left <= buckets.KEPT_S
    assert (left > 0) == (now_ms - at_ms < buckets.KEPT_S * 1000)
    assert buckets.mark_seconds_left(at_ms, now_ms) > left


def event(kind: EventKind, **fields: str) -> RoomEvent:
    room = uuid7(1, b"0123456789")
    return RoomEvent(event=kind, event_id=room, room=room, edge_id="lyon", timestamp=5_000_000, **fields)


def test_what_an_event_takes_away() -> None:
    deleted = removal_of(event(EventKind.DELETE, message_id="m", target_id="bob"))
    assert deleted is not None
    assert (deleted.message_id, deleted.user_id) == ("m", "")
    for kind in (EventKind.BAN, EventKind.TIMEOUT):
        banned = removal_of(event(kind, target_id="bob"))
        assert banned is not None
        assert (banned.message_id, banned.user_id, banned.until.timestamp()) == ("", "bob", 5000)
        for nobody in ("", "x" * 201):
            with pytest.raises(BadInputError):
                removal_of(event(kind, target_id=nobody))
    cleared = removal_of(event(EventKind.CLEAR))
    assert cleared is not None
    assert (cleared.message_id, cleared.user_id) == ("", "")
    assert removal_of(event(EventKind.UNBAN, target_id="bob")) is None
