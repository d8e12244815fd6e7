"""One rendition's part of the spool: volumes that only grow, and the index over them. Blocking file work.

A line enters the index after the bytes it names are on disk, so whatever the index says can be read, also after a
power cut. Bytes behind the last line are written over.
"""

import os
from collections import deque
from pathlib import Path

from appliance.contracts.spool import INDEX, SpooledSegment, read_index, volume_name
from edge.recorder.assembler import FinishedSegment

_VOLUME_SEGMENTS = 32
_VOLUME_BYTES = 64 << 20


class RenditionVolumes:
    """Opened for one writer. OSError when the disk does not do what it should."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments: deque[SpooledSegment] = deque()
        self.held_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    @property
    def last_msn(self) -> int:
        """The newest segment in the index; -1: none."""
        return self.segments[-1].msn if self.segments else -1

    @property
    def oldest_us(self) -> int | None:
        """When the last segment of the oldest volume began, Unix microseconds; None: only the newest is left."""
        last = self._last_of_oldest()
        return last.pdt_us if last is not None else None

    def _recover(self) -> None:
        index = self.folder / INDEX
        data = index.read_bytes() if index.exists() else b""
        found, read = read_index(data)
        sizes: dict[int, int] = {}
        for segment in found:
            if segment.volume not in sizes:
                volume = self.folder / volume_name(segment.volume)
                sizes[segment.volume] = volume.stat().st_size if volume.exists() else 0
            if segment.offset + segment.size > sizes[segment.volume]:
                break
            self._add(segment)
        if read != len(data) or len(self.segments) != len(found):
            self._replace_index()

    def _add(self, segment: SpooledSegment) -> None:
        self.segments.append(segment)
        self.held_bytes += segment.size

    def write(self, finished: list[FinishedSegment]) -> None:
        """Keeps segments that follow on what is kept."""
        lines: list[SpooledSegment] = []
        at = 0
        while at < len(finished):
            at += self._write_volume(finished[at:], lines)
        with (self.folder / INDEX).open("ab") as index:
            index.write("".join(line.encode() for line in lines).encode())
            index.flush()
            os.fdatasync(index.fileno())
        for line in lines:
            self._add(line)

    def _write_volume(self, finished: list[FinishedSegment], lines: list[SpooledSegment]) -> int:
        """Writes to one volume, as many as it takes; lines for the index are added to `lines`."""
        volume, offset, room = self._place(lines)
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
                lines.append(_line(segment, volume, offset))
                offset += segment.size
                count += 1
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return count

    def _place(self, lines: list[SpooledSegment]) -> tuple[int, int, int]:
        """Volume, offset and how many segments it still takes, after what is kept and `lines`."""
        last = lines[-1] if lines else (self.segments[-1] if self.segments else None)
        if last is None:
            return 0, 0, _VOLUME_SEGMENTS
        held = 0
        for segments in (lines, self.segments):
            for segment in reversed(segments):
                if segment.volume != last.volume:
                    break
                held += 1
        end = last.offset + last.size
        if held >= _VOLUME_SEGMENTS or end > _VOLUME_BYTES:
            return last.volume + 1, 0, _VOLUME_SEGMENTS
        return last.volume, end, _VOLUME_SEGMENTS - held

    # -- what goes

    def _last_of_oldest(self) -> SpooledSegment | None:
        """The last segment of the oldest volume, unless that is the one being written."""
        found = None
        for segment in self.segments:
            if segment.volume != self.segments[0].volume:
                return found
            found = segment
        return None

    def drop_oldest(self) -> int:
        """Removes the oldest volume, its lines first. The bytes that are free now; 0: only the newest is left."""
        last = self._last_of_oldest()
        if last is None:
            return 0
        freed = 0
        while self.segments and self.segments[0].msn <= last.msn:
            freed += self.segments.popleft().size
        self.held_bytes -= freed
        self._replace_index()
        (self.folder / volume_name(last.volume)).unlink(missing_ok=True)
        return freed

    def _replace_index(self) -> None:
        fresh = self.folder / f"{INDEX}.new"
        with fresh.open("wb") as file:
            file.write("".join(segment.encode() for segment in self.segments).encode())
            file.flush()
            os.fdatasync(file.fileno())
        fresh.replace(self.folder / INDEX)


def _line(segment: FinishedSegment, volume: int, offset: int) -> SpooledSegment:
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
