"""What viewers rewind to: the spool that the site's recorder writes, read in threads.

Equal requests wait for one reading. What was read is kept for a moment, all of it in a bound of bytes, since those
who rewind to the same goal, and the byte ranges of an I-frame playlist, come together.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance.contracts.spool import INDEX, SpooledSegment, read_index, volume_name
from appliance.runtime.tasks import Tasks
from edge.origin.held import Deliver, HeldRequests, Release, Waiter, hold_range
from edge.origin.metrics import Tally
from edge.origin.rendition import UNKNOWN_MEDIA, RenditionFeed
from edge.origin.responses import Response, error
from edge.origin.stored import Kept
from edge.protocols.fmp4 import FragmentError, key_fragment

_READING_AT_MOST = 64  # segments
_INDEX_AT_MOST = 64 << 20
_FULL = error("held", 503, "Too many requests are waiting here.")


class News(NamedTuple):
    """What an index has got since it was read last, and its oldest segment."""

    segments: list[SpooledSegment]
    first_msn: int


class _IndexReader:
    """Reads one rendition's index on from where it was. Blocking."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity = 0
        self._read = 0
        self._last_msn = -1
        self._first_msn = 0

    def news(self) -> News:
        try:
            with self._file.open("rb") as index:
                identity = os.fstat(index.fileno()).st_ino
                if identity != self._identity:  # the recorder has left out what it removed
                    self._identity, self._read = identity, 0
                index.seek(self._read)
                data = index.read(_INDEX_AT_MOST)
        except FileNotFoundError:
            return News([], self._first_msn)
        known = 0
        if self._read == 0:
            known = _behind(data, self._last_msn)
            head, _ = read_index(data[: data.find(b"\n") + 1])
            self._first_msn = head[0].msn if head else self._first_msn
        found, read = read_index(data[known:])
        self._read += known + read
        fresh = [segment for segment in found if segment.msn > self._last_msn]
        if fresh:
            self._last_msn = fresh[-1].msn
        return News(fresh, self._first_msn)


def _behind(data: bytes, msn: int) -> int:
    """Where the lines behind segment `msn` begin in an index; 0 where it has no such line."""
    at = data.find(b"\n%d " % msn)
    return data.find(b"\n", at + 1) + 1 if at >= 0 else 0


class Followed:
    """The spool of one followed broadcast."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: dict[str, _IndexReader] = {}

    async def news(self) -> dict[str, News]:
        """By rendition. OSError when the disk cannot be read."""
        return await asyncio.to_thread(self._news)

    def _news(self) -> dict[str, News]:
        if self._folder.is_dir():
            for rendition in self._folder.iterdir():
                self._indexes.setdefault(rendition.name, _IndexReader(rendition / INDEX))
        return {name: index.news() for name, index in self._indexes.items()}


class Archive:
    """Used in the loop. `folder` is the spool; `most_bytes` bounds what is kept in memory."""

    def __init__(
        self,
        folder: Path,
        *,
        tally: Tally,
        deliver: Deliver,
        most_bytes: int,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._folder = folder
        self._tally = tally
        self._deliver = deliver
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Path, Response] = OrderedDict()
        self._bytes = 0
        self._reading: dict[Path, HeldRequests[None]] = {}
        self._tasks = Tasks(on_failure)

    def has(self, broadcast_id: str) -> bool:
        """Whether something of a broadcast is kept."""
        return (self._folder / broadcast_id).is_dir()

    def follow(self, broadcast_id: str) -> Followed:
        """Its indexes, to be read again and again."""
        return Followed(self._folder / broadcast_id)

    def get(self, broadcast_id: str, rendition: RenditionFeed, kept: Kept) -> Response | None:
        """A segment that was read not long ago."""
        key = self._key(broadcast_id, rendition.name, kept)
        response = self._kept.get(key)
        if response is not None:
            self._kept.move_to_end(key)
        return response

    def is_busy(self, broadcast_id: str, rendition: RenditionFeed, kept: Kept) -> bool:
        """Whether the disk has enough to do without this segment."""
        new = self._key(broadcast_id, rendition.name, kept) not in self._reading
        return new and len(self._reading) >= _READING_AT_MOST

    def hold(self, broadcast_id: str, rendition: RenditionFeed, kept: Kept, asked: str, caller: Waiter) -> Release:
        """Reads the segment for a request, of which `asked` is the Range field; the function lets it go."""
        key = self._key(broadcast_id, rendition.name, kept)
        held = self._reading.get(key)
        if held is None:
            held = self._reading[key] = HeldRequests()
            self._tasks.start(self._read(key, rendition, kept), f"archive-{broadcast_id}-{kept.file}")
        group = held
        return hold_range(lambda waiter: group.add(None, waiter), asked, caller)

    def _key(self, broadcast_id: str, rendition: str, kept: Kept) -> Path:
        return self._folder / broadcast_id / rendition / kept.file

    async def _read(self, key: Path, rendition: RenditionFeed, kept: Kept) -> None:
        response = UNKNOWN_MEDIA
        try:
            data = await asyncio.to_thread(_bytes_of, key.parent / volume_name(kept.place.volume), kept)
            response = rendition.media_response("segment", (data,))
            self._keep(key, response)
        except (OSError, FragmentError):
            self._tally.event("spool_unreadable")
        finally:
            for _, waiters in self._reading.pop(key).take(lambda _: True):
                self._deliver(waiters, response)

    def _keep(self, key: Path, response: Response) -> None:
        self._kept[key] = response
        self._bytes += response.size
        while self._bytes > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size

    async def close(self) -> None:
        """Ends the readings; whoever waits is answered."""
        await self._tasks.close()


def _bytes_of(volume: Path, kept: Kept) -> bytes:
    place = kept.place
    size = place.key_size if kept.picture else place.size
    fd = os.open(volume, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, size, place.offset)
    finally:
        os.close(fd)
    if len(data) != size:
        raise OSError(f"{volume} is shorter than its index says")
    return key_fragment(data, kept.ticks) if kept.picture else data
