"""The spool: finished segments of a site's broadcasts on disk, written by its recorder, read by its origins.

Below the spool's folder lie `BROADCAST/RENDITION/index` and `BROADCAST/RENDITION/N.m4s`. A *volume* N.m4s is a run
of segments one after the other. The index has one line per segment in order of their numbers, written once the
segment's bytes are on disk; a last line without its end is one that was being written. When the oldest volumes go
the index is replaced by a shorter one, so a reader that sees another file reads it anew.
"""

import enum

import msgspec

from appliance.contracts.errors import BadInputError

INDEX = "index"
_MOST = (1 << 63) - 1  # readers keep what an index says in binary
_MOST_SIZE = (1 << 31) - 1  # bytes of a segment, and how many volumes there are


class SegmentFlag(enum.IntFlag):
    """What a reader must know of a segment besides its bytes."""

    NONE = 0
    GAP = 1  # without media: no bytes
    HOLED = 2  # some of its parts are missing: not to be played
    DISCONTINUITY = 4  # begins with another codec configuration or clock


class SpooledSegment(msgspec.Struct, frozen=True):
    """One finished segment of a rendition. Durations in ticks of the rendition, sizes in bytes."""

    msn: int
    init: int
    next_serial: int  # the part counter of the rendition after this segment
    ticks: int
    pdt_us: int  # wall clock of the first sample, Unix microseconds
    dsn: int  # discontinuities of the broadcast up to this segment, its own included; -1 not counted
    flags: SegmentFlag
    volume: int
    offset: int
    size: int
    key_size: int  # from its beginning to the end of its first key frame; 0: it begins with none

    @property
    def has_media(self) -> bool:
        """Whether players may be given its bytes."""
        return self.size > 0 and not self.flags & (SegmentFlag.GAP | SegmentFlag.HOLED)

    @property
    def is_discontinuity(self) -> bool:
        """Whether it begins with another codec configuration or clock."""
        return bool(self.flags & SegmentFlag.DISCONTINUITY)

    def encode(self) -> str:
        """The line of the index, with its end."""
        return (
            f"{self.msn} {self.init} {self.next_serial} {self.ticks} {self.pdt_us} {self.dsn} {int(self.flags)} "
            f"{self.volume} {self.offset} {self.size} {self.key_size}\n"
        )

    @classmethod
    def decode(cls, line: str) -> "SpooledSegment":
        """Reads a line of the index. BadInputError when it is none."""
        try:
            numbers = [int(token) for token in line.split()]
            msn, init, serial, ticks, pdt_us, dsn, flags, volume, offset, size, key_size = numbers
        except ValueError as error:
            raise BadInputError("not a line of a spool's index", code="spool_index") from error
        if min(msn, init, serial, ticks, volume, offset, size, key_size) < 0:
            raise BadInputError("a negative number in a spool's index", code="spool_index")
        if max(numbers) > _MOST or max(volume, size, key_size) > _MOST_SIZE or pdt_us < -_MOST:
            raise BadInputError("a number in a spool's index that is too large", code="spool_index")
        return cls(msn, init, serial, ticks, pdt_us, dsn, SegmentFlag(flags & 7), volume, offset, size, key_size)


def volume_name(volume: int) -> str:
    """File name of a volume."""
    return f"{volume}.m4s"


def read_index(data: bytes) -> tuple[list[SpooledSegment], int]:
    """The segments of an index, or of a piece of it that begins with a line, and how many bytes were read.

    Ends before a line that is not finished, is none, or does not go on in the order of numbers: whoever writes
    the index begins again there.
    """
    found: list[SpooledSegment] = []
    read = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            segment = SpooledSegment.decode(line.decode("ascii", "replace"))
        except BadInputError:
            break
        if found and segment.msn <= found[-1].msn:
            break
        found.append(segment)
        read += len(line)
    return found, read
