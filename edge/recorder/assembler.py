"""Chunks of one rendition put together to finished segments. Sans-I/O."""

import dataclasses

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.spool import SegmentFlag
from edge.protocols.fmp4 import FragmentError, key_frame_end


@dataclasses.dataclass(slots=True)
class FinishedSegment:
    """A segment that is over, with its bytes in pieces; none when it is a gap."""

    msn: int
    init: int
    next_serial: int
    ticks: int
    pdt_us: int
    dsn: int
    flags: SegmentFlag
    pieces: list[bytes]
    size: int
    key_size: int


class SegmentAssembler:
    """Takes a rendition's chunks in the order of the log. A repeated one is ignored.

    `after`: the last segment that is kept already; up to it nothing is wanted. A segment whose beginning was not
    seen is left out: its number is missing in what follows.
    """

    def __init__(self, after: int = -1) -> None:
        self._after = after
        self._last = (-1, -1, -1)
        self._open: FinishedSegment | None = None

    def accept(self, header: ChunkHeader, data: bytes) -> list[FinishedSegment]:
        """The segments that are finished by this chunk: at most one that was cut off, and its own."""
        key = (header.msn, header.part, header.chunk)
        if key <= self._last or header.msn <= self._after:
            return []
        self._last = key
        finished = self.finish() if self._open is not None and self._open.msn != header.msn else []
        if self._open is None:
            if header.part or header.chunk:
                return finished
            self._open = _begin(header)
        self._add(self._open, header, data)
        if header.flags & ChunkFlag.LAST_OF_SEGMENT:
            finished += self.finish()
        return finished

    def finish(self) -> list[FinishedSegment]:
        """Ends the segment in progress with what came of it: its publisher has left."""
        segment, self._open = self._open, None
        if segment is None:
            return []
        self._after = segment.msn
        if not segment.size:
            segment.flags |= SegmentFlag.GAP
        elif not segment.flags & SegmentFlag.HOLED:
            segment.key_size = _key_size(segment.pieces[0])
        return [segment]

    def _add(self, segment: FinishedSegment, header: ChunkHeader, data: bytes) -> None:
        if header.flags & ChunkFlag.GAP and not header.is_gap_segment:
            segment.flags |= SegmentFlag.HOLED
        if data:
            segment.pieces.append(data)
            segment.size += len(data)
        segment.ticks += header.duration
        segment.next_serial = max(segment.next_serial, header.next_serial)


def _begin(header: ChunkHeader) -> FinishedSegment:
    flags = SegmentFlag.DISCONTINUITY if header.flags & ChunkFlag.DISCONTINUITY else SegmentFlag.NONE
    return FinishedSegment(header.msn, header.init, header.serial, 0, header.pdt_us, header.dsn, flags, [], 0, 0)


def _key_size(chunk: bytes) -> int:
    try:
        return key_frame_end(chunk)
    except FragmentError:
        return 0
