"""From which of its held frames a waiting publisher goes on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from appliance.contracts.media import AUDIO, SOURCE
from edge.ingest.reel import Held, Reel
from edge.ingest.rendition import ResumePoint
from edge.ingest.shared import FRAME_US, Join
from edge.media.splice import find_splice, runs_behind
from edge.protocols.rtmp import AudioData, Event, VideoData

_TICKS_PER_MS = 90
_SLACK = 5 * _TICKS_PER_MS  # rounding of stamps: less than any audio frame lasts
_FRESH_US = 1_000_000
_HALF = 1 << 31


class Start(NamedTuple):
    """Events to write first, with their arrival. With `join` exactly where the log ends.

    `overlap_us`: for so long events came while the log may have had those of the other publisher.
    """

    events: list[tuple[Event, int]]
    join: Join | None
    overlap_us: int = 0


def splice(reel: Reel, published: Sequence[int], resume: Mapping[str, ResumePoint]) -> Start | None:
    """The frame after the last published one and all that follows. None: it is not there.

    `published` are the digests of the log's pictures up to its end, `resume` where its renditions end.
    """
    own, numbers = reel.digests()
    at = find_splice(own, published)
    if at is None or at >= len(own) or SOURCE not in resume:
        return None
    first = next(held for held in reel.held() if held.number == numbers[at])
    if not isinstance(first.event, VideoData):
        return None
    join = Join(first.event.timestamp, resume[SOURCE].end_media_time)
    sound_from = resume[AUDIO].end_media_time - _SLACK if AUDIO in resume else join.media_time
    chosen = [held for held in reel.held() if _follows(held, first, join, sound_from)]
    return Start([*_head(reel, chosen), *((held.event, held.arrived_us) for held in chosen)], join)


def follows(reel: Reel, published: Sequence[int]) -> bool:
    """Whether this publisher sends the same frames and will come to the next one by and by."""
    own, _ = reel.digests()
    return find_splice(own, published) is not None or runs_behind(own, published) > 0


def from_key_frame(reel: Reel) -> Start:
    """The newest key frame, if it came a moment ago, and all that follows; else the next one to come."""
    key = reel.last_key()
    first = next((held for held in reel.held() if held.number == key), None)
    if first is None or reel.last_us - first.arrived_us > _FRESH_US:
        return Start(_head(reel, []), None)
    chosen = [first, *(held for held in reel.held() if held is not first and _is_from(held, first))]
    events = [*_head(reel, chosen), *((held.event, held.arrived_us) for held in chosen)]
    return Start(events, None, reel.last_us - first.arrived_us + FRAME_US)


def _head(reel: Reel, chosen: list[Held]) -> list[tuple[Event, int]]:
    """Everything that configures the first chosen frame, as if it had come with it."""
    at_us = chosen[0].arrived_us if chosen else reel.last_us
    first = chosen[0].number if chosen else None
    before = [held.event for held in reel.held() if held.configures and (first is None or held.number < first)]
    return [(event, at_us) for event in (*reel.head(), *before)]


def _is_from(held: Held, first: Held) -> bool:
    """Whether it belongs to a stream that begins with `first`. Sound may have come before its pictures."""
    if held.number > first.number:
        return True
    event, begin = held.event, first.event
    return (
        isinstance(event, AudioData)
        and isinstance(begin, VideoData)
        and not held.configures
        and (event.timestamp - begin.timestamp) % (2 * _HALF) < _HALF
    )


def _follows(held: Held, first: Held, join: Join, sound_from: int) -> bool:
    event = held.event
    if isinstance(event, VideoData):
        return held.number >= first.number
    if isinstance(event, AudioData):
        ahead_ms = (event.timestamp - join.stamp + _HALF) % (2 * _HALF) - _HALF
        return join.media_time + ahead_ms * _TICKS_PER_MS >= sound_from
    return held.number >= first.number
