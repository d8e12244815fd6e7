"""The last seconds of a publisher that waits: what is needed to begin with any of its frames."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from edge.ingest.inputs import CodecError, VideoInput
from edge.media.presence import Presence
from edge.protocols.flv import FlvError, TagKind, parse_audio, parse_video
from edge.protocols.rtmp import AudioData, Cue, Event, Metadata, VideoData

_KEEP_US: Final = 12_000_000
_KEEP_BYTES: Final = 32 << 20
_EX_AUDIO: Final = 9
_SETS_UP: Final = (0, 5, 6, 7)  # packet types: sequence start, and those with another one inside


class Held(NamedTuple):
    """An event as it came. `digest` of a picture's access unit, None for everything else."""

    event: Event
    arrived_us: int
    digest: int | None
    is_key: bool
    number: int
    configures: bool


class Head:
    """Metadata and the newest configuration of each track: what decodes the frames after it."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, int], Event] = {}

    def note(self, event: Event) -> None:
        """An event of the publisher, in order."""
        for key in _configures(event):
            self._events[key] = event

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._events.values()))


class Reel:
    """Keeps 12 s or 32 MiB, whichever is less, and every configuration that was in force before that."""

    def __init__(self, head: Iterable[Event] = ()) -> None:
        """`head`: what configures the frames that will come, from before."""
        self.last_us = 0  # when the last picture or sound came
        self.key_us = 0  # when the last key frame came
        self.pictures = Presence()  # Unix microseconds of arrival
        self._held: deque[Held] = deque()
        self._bytes = 0
        self._number = 0
        self._head = Head()
        self._video = VideoInput()
        for event in head:
            self._head.note(event)
            self._look(event)

    def push(self, event: Event, arrived_us: int) -> Held:
        """An event of the publisher."""
        digest, is_key = self._look(event)
        self._number += 1
        held = Held(event, arrived_us, digest, is_key, self._number, bool(_configures(event)))
        self._held.append(held)
        self._bytes += _size(event)
        if not isinstance(event, (Metadata, Cue)):
            self.last_us = arrived_us
        if digest is not None:
            self.pictures.came(arrived_us)
        if is_key:
            self.key_us = arrived_us
        while self._held and (
            self._bytes > _KEEP_BYTES or arrived_us - self._held[0].arrived_us > _KEEP_US
        ):  # fmt: skip
            self._forget(self._held.popleft())
        return held

    def digests(self) -> tuple[list[int], list[int]]:
        """Of the held pictures, and the number of each event."""
        pictures = [held for held in self._held if held.digest is not None]
        return [held.digest or 0 for held in pictures], [held.number for held in pictures]

    def head(self) -> Iterator[Event]:
        """Metadata and configurations from before the held events."""
        yield from self._head

    def held(self) -> Iterator[Held]:
        """Every held event, the oldest first."""
        yield from self._held

    def last_key(self) -> int | None:
        """Number of the newest key frame's event."""
        return next((held.number for held in reversed(self._held) if held.is_key), None)

    def _look(self, event: Event) -> tuple[int | None, bool]:
        if not isinstance(event, VideoData):
            return None, False
        try:
            for tag in parse_video(event.body):
                if tag.track:
                    continue
                unit = self._video.take(tag)
                if unit is not None:
                    return hash(bytes(unit.data)), unit.key
        except (FlvError, CodecError):
            return None, False
        return None, False

    def _forget(self, held: Held) -> None:
        self._bytes -= _size(held.event)
        self._head.note(held.event)


def _configures(event: Event) -> list[tuple[str, int]]:
    """What an event sets up for those after it."""
    if not may_configure(event):
        return []
    if isinstance(event, Metadata):
        return [("metadata", 0)]
    try:
        if isinstance(event, VideoData):
            return [("video", tag.track) for tag in parse_video(event.body) if tag.kind is TagKind.CONFIG]
        if isinstance(event, AudioData):
            return [("audio", tag.track) for tag in parse_audio(event.body) if tag.kind is TagKind.CONFIG]
    except FlvError:
        return []
    return []


def may_configure(event: Event) -> bool:
    """By the first bytes: most tags are frames, and need no closer look."""
    if not isinstance(event, (VideoData, AudioData)):
        return isinstance(event, Metadata)
    body = event.body
    if len(body) < 2:
        return False
    first = body[0]
    has_packet_type = first & 0x80 if isinstance(event, VideoData) else first >> 4 == _EX_AUDIO
    return first & 0x0F in _SETS_UP if has_packet_type else body[1] == 0


def _size(event: Event) -> int:
    return len(event.body) if isinstance(event, (VideoData, AudioData)) else 200
