"""What a window is made of: parts and segments as they are stored, and where a broadcast is discontinuous."""

import bisect
import dataclasses
from typing import NamedTuple

from appliance.contracts.spool import SegmentFlag, SpooledSegment
from edge.protocols.fmp4 import FragmentError, key_frame_end

MICRO = 1_000_000


class Place(NamedTuple):
    """Where a segment lies in the spool, in bytes; `key_size` as `SpooledSegment` has it."""

    volume: int
    offset: int
    size: int
    key_size: int

    @classmethod
    def of(cls, spooled: SpooledSegment) -> "Place":
        """The place that a line of the index names."""
        return cls(spooled.volume, spooled.offset, spooled.size, spooled.key_size)


@dataclasses.dataclass(slots=True)
class StoredPart:
    """A run of chunks. `closed` when the last one is there; `gap` when its media is missing."""

    serial: int
    index: int
    independent: bool
    chunks: list[bytes] = dataclasses.field(default_factory=list)
    ticks: int = 0
    closed: bool = False
    gap: bool = False


@dataclasses.dataclass(slots=True)
class StoredSegment:
    """A run of parts; a gap has none. `ticks` counts closed parts only. `holed` when one of them is missing.

    `place` is where it lies in the spool, once that is known; `released`: its parts are only there any more.
    """

    msn: int
    init: int
    pdt_us: int
    discontinuity: bool
    gap: bool = False
    parts: list[StoredPart] = dataclasses.field(default_factory=list)
    ticks: int = 0
    size: int = 0
    complete: bool = False
    holed: bool = False
    released: bool = False
    place: Place | None = None
    first_key: int = -1  # what `key_size` found

    @property
    def has_media(self) -> bool:
        """Whether it can be played: it is finished and nothing of it is missing."""
        return self.complete and not (self.gap or self.holed)

    @property
    def listed(self) -> bool:
        """Whether a playlist has a line for it: of the newest one nothing may be finished yet."""
        return self.gap or self.released or (bool(self.parts) and self.parts[0].closed)

    def body(self) -> tuple[bytes, ...]:
        """The segment: its parts' chunks, one after the other, not copied."""
        return tuple(chunk for part in self.parts for chunk in part.chunks)

    def key_size(self) -> int:
        """Bytes from its beginning to the end of its first key frame; 0: it does not begin with one."""
        if self.place is not None:
            return self.place.key_size
        if self.first_key < 0:
            if not self.has_media or not self.parts or not self.parts[0].chunks:
                return 0
            try:
                self.first_key = key_frame_end(self.parts[0].chunks[0])
            except FragmentError:
                self.first_key = 0
        return self.first_key


def recalled(spooled: SpooledSegment, *, discontinuity: bool) -> StoredSegment:
    """A segment of the spool."""
    return StoredSegment(
        spooled.msn,
        spooled.init,
        spooled.pdt_us,
        discontinuity,
        gap=bool(spooled.flags & SegmentFlag.GAP),
        ticks=spooled.ticks,
        complete=True,
        holed=bool(spooled.flags & SegmentFlag.HOLED),
        released=True,
        place=Place.of(spooled),
    )


class Kept(NamedTuple):
    """Something of the spool that is asked for: a segment, `ticks` long, or only its first picture."""

    msn: int
    ticks: int
    place: Place
    picture: bool = False

    @property
    def file(self) -> str:
        """Its name in URIs."""
        return f"{'k' if self.picture else 's'}{self.msn}.m4s"


class Discontinuities:
    """Where a broadcast is discontinuous: shared by its renditions, so that they agree segment by segment.

    Ingest counts its own in the log. The transcoder repeats them, and adds those of its renditions' records.
    """

    def __init__(self) -> None:
        self._msns: list[int] = []
        self._announced: list[int] = []
        self._forgotten = 0  # those that came before what the log still holds

    def note(self, msn: int, dsn: int, *, discontinuity: bool) -> None:
        """What a segment's header says of it: `dsn` is ingest's count, -1 in what the transcoder made."""
        if discontinuity and dsn >= 0:
            self.add(msn)
        elif discontinuity:
            self.announce(msn)
        if dsn >= 0:
            self.learn(msn, dsn)

    def add(self, msn: int) -> None:
        at = bisect.bisect_left(self._msns, msn)
        if at == len(self._msns) or self._msns[at] != msn:
            self._msns.insert(at, msn)

    def announce(self, msn: int) -> None:
        """The transcoder says that there is one at segment `msn`."""
        if msn not in self._announced:
            bisect.insort(self._announced, msn)

    def __contains__(self, msn: int) -> bool:
        at = bisect.bisect_left(self._msns, msn)
        return (at < len(self._msns) and self._msns[at] == msn) or msn in self._announced

    def learn(self, msn: int, count: int) -> None:
        """Ingest counted `count` up to segment `msn`, that one's own included."""
        self._forgotten = max(self._forgotten, count - bisect.bisect_right(self._msns, msn))

    def before(self, msn: int) -> int:
        """How many there were before segment `msn`: its playlist's EXT-X-DISCONTINUITY-SEQUENCE."""
        announced = sum(1 for other in self._announced if other < msn and other not in self._msns)
        return self._forgotten + bisect.bisect_left(self._msns, msn) + announced


@dataclasses.dataclass(frozen=True, slots=True)
class WindowRules:
    """How much a playlist lists and how long media outlives its line.

    `window_s`: what is kept in memory. `rewind_s`: what is listed where a recorder keeps the rest on disk; 0: none.
    `part_target_s`: no part is told to be longer.
    """

    target_duration_s: int
    part_target_s: float
    window_s: float
    min_segments: int
    rewind_s: float = 0.0
