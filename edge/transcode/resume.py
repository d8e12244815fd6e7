"""Where each rung continues: read from what the log already holds."""

from typing import NamedTuple

from appliance.contracts.media import CHUNK_HEADER, SOURCE, ChunkFlag, ChunkHeader
from appliance.contracts.subjects import MEDIA_STREAM, media
from appliance.runtime.bus import Bus

_LEAD = 64  # a killed server may have made writers append again, a little later in the log than before
SOURCE_SEQUENCE = "Source-Sequence"  # header of a rung's chunk: where decoding for its segment begins in the source


class RungPosition(NamedTuple):
    """How far a rung is. `last` is the newest chunk's header, None when there is none yet."""

    last: ChunkHeader | None
    last_sequence: int  # stream sequence of that chunk: what the next append must find
    source_sequence: int  # stream sequence of the source chunk where decoding for that segment begins

    @property
    def first_msn(self) -> int:
        """The first segment that this rung still needs, wholly or in part."""
        if self.last is None:
            return 0
        return self.last.msn + (1 if self.last.flags & ChunkFlag.LAST_OF_SEGMENT else 0)

    @property
    def end_dts(self) -> int:
        """Media time up to which frames are in the log; -1 when there are none."""
        return -1 if self.last is None else self.last.dts + self.last.duration

    def first_serial(self, msn: int) -> int:
        """Serial of part 0 of segment `msn`, the next one this rung works on."""
        if self.last is None:
            return 0
        if msn == self.last.msn:
            return self.last.serial - self.last.part
        return self.last.next_serial

    def has_frame(self, msn: int, pts: int) -> bool:
        """Whether the log has the frame at `pts` of segment `msn`, one that this rung still works on.

        The last frame of a segment may be said to last longer than until the next segment begins.
        """
        return self.last is not None and msn <= self.last.msn and pts < self.end_dts

    def is_published(self, msn: int, part: int, chunk: int) -> bool:
        """Whether the log has this chunk."""
        last = self.last
        return last is not None and (msn, part, chunk) <= (last.msn, last.part, last.chunk)


class StartPoint(NamedTuple):
    """Where to read the source from, and where each rung stands."""

    sequence: int  # first stream sequence to read
    msn: int  # first segment to work on: earlier ones are only decoded, where that is needed
    rungs: dict[str, RungPosition]


async def find_start(bus: Bus, broadcast_id: str, rungs: list[str], *, source: str = SOURCE) -> StartPoint | None:
    """Reads the log. None while the source has nothing in it. UnavailableError when the log is away.

    `rungs` are the renditions made of `source`.
    """
    newest_source = await bus.last_message(MEDIA_STREAM, media(broadcast_id, source))
    if newest_source is None:
        return None
    positions = {name: await _position(bus, broadcast_id, name) for name in rungs}
    begun = [position for position in positions.values() if position.last is not None]
    if not begun:
        newest = ChunkHeader.decode(newest_source.headers[CHUNK_HEADER])
        return StartPoint(1, newest.msn if newest.msn > 2 else 0, positions)
    return StartPoint(
        max(1, min(position.source_sequence for position in begun) - _LEAD),
        min(position.first_msn for position in begun),
        positions,
    )


async def _position(bus: Bus, broadcast_id: str, rung: str) -> RungPosition:
    message = await bus.last_message(MEDIA_STREAM, media(broadcast_id, rung))
    if message is None:
        return RungPosition(None, 0, 0)
    header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
    return RungPosition(header, message.seq, int(message.headers.get(SOURCE_SEQUENCE, "1")))
