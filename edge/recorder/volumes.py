"""One rendition's part of the spool: volumes that only grow, and the index over them. Blocking file work.

A line enters the index after the bytes it names are on disk, so whatever the index says can be read, also after a
power cut. Bytes behind the last line are written over.
"""

import dataclasses
import os
from collections import deque
from pathlib import Path

from appliance.contracts.spool import INDEX, SpooledSegment, read_index, volume_name
from edge.recorder.assembler import FinishedSegment

_VOLUME_SEGMENTS = 32
_VOLUME_BYTES = 64 << 20


@dataclasses.dataclass(slots=True)
class _Volume:
    """What is known of one volume: thousands of segments are kept, and each is only in the index."""

    number: int
    count: int = 0  # segments
    size: int = 0  # bytes of them
    end: int = 0  # where the last one ends in the file
    index_size: int = 0  # bytes of their lines
    last_msn: int = -1
    last_pdt_us: int = 0

    def add(self, segment: SpooledSegment, line_size: int) -> None:
        self.count += 1
        self.size += segment.size
        self.end = segment.offset + segment.size
        self.index_size += line_size
        self.last_msn, self.last_pdt_us = segment.msn, segment.pdt_us


class RenditionVolumes:
    """Opened for one writer. OSError when the disk does not do what it should: it is to be opened anew then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held_bytes = 0
        self._volumes: deque[_Volume] = deque()  # the oldest first
        folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    @property
    def last_msn(self) -> int:
        """The newest segment in the index; -1: none."""
        return self._volumes[-1].last_msn if self._volumes else -1

    @property
    def oldest_us(self) -> int | None:
        """When the last segment of the oldest volume began, Unix microseconds; None: only the newest is left."""
        return self._volumes[0].last_pdt_us if len(self._volumes) > 1 else None

    def _recover(self) -> None:
        index = self.folder / INDEX
        data = index.read_bytes() if index.exists() else b""
        found, _ = read_index(data)
        sizes: dict[int, int] = {}
        whole = 0
        for segment, line in zip(found, data.splitlines(keepends=True), strict=False):
            if segment.volume not in sizes:
                volume = self.folder / volume_name(segment.volume)
                sizes[segment.volume] = volume.stat().st_size if volume.exists() else 0
            if segment.offset + segment.size > sizes[segment.volume]:
                break
            self._add(segment, len(line))
            whole += len(line)
        if whole != len(data):
            self._replace_index(data[:whole])

    def _add(self, segment: SpooledSegment, line_size: int) -> None:
        if not self._volumes or self._volumes[-1].number != segment.volume:
            self._volumes.append(_Volume(segment.volume))
        self._volumes[-1].add(segment, line_size)
        self.held_bytes += segment.size

    def write(self, finished: list[FinishedSegment]) -> None:
        """Keeps segments that follow on what is kept."""
        segments: list[SpooledSegment] = []
        at = 0
        while at < len(finished):
            at += self._write_volume(finished[at:], segments)
        lines = [segment.encode().encode() for segment in segments]
        with (self.folder / INDEX).open("ab") as index:
            index.write(b"".join(lines))
            index.flush()
            os.fdatasync(index.fileno())
        for segment, line in zip(segments, lines, strict=True):
            self._add(segment, len(line))

    def _write_volume(self, finished: list[FinishedSegment], written: list[SpooledSegment]) -> int:
        """Writes to one volume, as many as it takes; what the index is to say is added to `written`."""
        volume, offset, room = self._place(written)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.folder / volume_name(volume), flags, 0o644)
        try:
            os.ftruncate(fd, offset)
            os.lseek(fd, offset, os.SEEK_SET)
            count = 0
            for segment in finished[:room]:
                if count and offset > _VOLUME_BYTES:
                    break
                for piece in segment.pieces:
                    _write_all(fd, piece)
                written.append(_placed(segment, volume, offset))
                offset += segment.size
                count += 1
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return count

    def _place(self, written: list[SpooledSegment]) -> tuple[int, int, int]:
        """Volume, offset and how many segments it still takes, after what is kept and `written`."""
        newest = self._volumes[-1] if self._volumes else _Volume(0)
        number, held, end = newest.number, newest.count, newest.end
        if written:
            last = written[-1]
            held = sum(one.volume == last.volume for one in written) + (held if number == last.volume else 0)
            number, end = last.volume, last.offset + last.size
        if held >= _VOLUME_SEGMENTS or end > _VOLUME_BYTES:
            return number + 1, 0, _VOLUME_SEGMENTS
        return number, end, _VOLUME_SEGMENTS - held

    # -- what goes

    def drop_oldest(self) -> int:
        """Removes the oldest volume, its lines first. The bytes that are free now; 0: only the newest is left."""
        if len(self._volumes) < 2:
            return 0
        oldest = self._volumes[0]
        self._replace_index((self.folder / INDEX).read_bytes()[oldest.index_size :])
        self._volumes.popleft()
        self.held_bytes -= oldest.size
        (self.folder / volume_name(oldest.number)).unlink(missing_ok=True)
        return oldest.size

    def _replace_index(self, lines: bytes) -> None:
        fresh = self.folder / f"{INDEX}.new"
        with fresh.open("wb") as file:
            file.write(lines)
            file.flush()
            os.fdatasync(file.fileno())
        fresh.replace(self.folder / INDEX)


def _placed(segment: FinishedSegment, volume: int, offset: int) -> SpooledSegment:
    return SpooledSegment(
        segment.msn,
        segment.init,
        segment.next_serial,
        segment.ticks,
        segment.pdt_us,
        segment.dsn,
        segment.flags,
        volume,
        offset,
        segment.size,
        segment.key_size,
    )


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
