"""Follows a channel's broadcast in the part log on behalf of a publisher that waits for its turn."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from appliance.contracts import subjects
from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.contracts.media import AUDIO, CHUNK_HEADER, SOURCE, VIDEO_TIMESCALE, ChunkFlag, ChunkHeader
from appliance.runtime.bus import LogMessage
from appliance.runtime.clock import now_us
from appliance.runtime.tasks import Tasks
from edge.media.presence import Presence
from edge.media.video_clock import MAX_DURATION
from edge.protocols.fmp4 import FragmentError, read_fragments

_FRAMES = 1500
_RETRY_S = 0.2


class Log(Protocol):
    """The part of a bus that following needs."""

    async def last_sequence(self, stream: str) -> int:
        """Of the newest message."""

    async def last_message(self, stream: str, subject: str) -> LogMessage | None:
        """The newest message of a subject."""

    def tail(self, stream: str, subjects: list[str], start: int = 1) -> AsyncIterator[LogMessage]:
        """Every message of `subjects` from `start`, in order, without end."""


class LogWatch:
    """Of one broadcast's source, or of its sound where it has no pictures.

    `grown_at` is loop time, `pictures` are by the wall clock.
    """

    def __init__(self, log: Log, broadcast_id: str) -> None:
        self.broadcast_id = broadcast_id
        self.sequence = 0  # of the last message seen
        self.grown_at = asyncio.get_running_loop().time()
        self.pictures = Presence()
        self._began_us = now_us()
        self._ends_missing = False
        self._log = log
        self._digests: deque[int] = deque(maxlen=_FRAMES)
        self._tasks = Tasks()

    def start(self) -> None:
        """Begins to follow, from now on."""
        self._tasks.start(self._follow(), "ingest-watch")

    def stop(self) -> None:
        """Stops at its next turn."""
        self._tasks.cancel()

    async def close(self) -> None:
        """Stops."""
        await self._tasks.close()

    @property
    def digests(self) -> list[int]:
        """Of the pictures that were appended since the start, the newest last."""
        return list(self._digests)

    def missing_us(self, at_us: int) -> int:
        """For how long pictures have been missing, while the broadcast goes on and says so; 0: they are not."""
        if not self._ends_missing:
            return 0
        gone_us = self.pictures.gone_us(at_us)
        return at_us - self._began_us if gone_us is None else gone_us

    async def reached(self, sequence: int, limit_s: float) -> bool:
        """Waits until everything up to `sequence` was seen."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while self.sequence < sequence and loop.time() < until:  # noqa: ASYNC110 - bounded, a few turns
            await asyncio.sleep(0.005)
        return self.sequence >= sequence

    async def _follow(self) -> None:
        source, sound = (subjects.media(self.broadcast_id, name) for name in (SOURCE, AUDIO))
        while True:
            try:
                start = await self._log.last_sequence(subjects.MEDIA_STREAM)
                self._look_back(await self._log.last_message(subjects.MEDIA_STREAM, source))
                break
            except UnavailableError:
                await asyncio.sleep(_RETRY_S)
        async for message in self._log.tail(subjects.MEDIA_STREAM, [source, sound], start + 1):
            self.sequence = message.seq
            self.grown_at = asyncio.get_running_loop().time()
            if message.subject == source:
                self._read(message)

    def _look_back(self, message: LogMessage | None) -> None:
        """A publisher may stop before enough has come to measure. How far apart its last pictures were may tell."""
        with contextlib.suppress(FragmentError):
            fragments = read_fragments(message.data) if message is not None else []
            durations = [sample.duration for fragment in fragments for sample in fragment.samples]
            if durations and max(durations) < MAX_DURATION:
                self.pictures.presume(max(durations) * 1_000_000 // VIDEO_TIMESCALE)

    def _read(self, message: LogMessage) -> None:
        """Behind pictures that are missing the log does not end with the last one that came."""
        try:
            header = ChunkHeader.decode(message.headers.get(CHUNK_HEADER, ""))
            if header.duration:  # else it only ends a part
                self._ends_missing = bool(header.flags & ChunkFlag.GAP)
            if header.flags & ChunkFlag.GAP:
                self._digests.clear()
                return
            if message.data:
                self.pictures.came(now_us())
            for fragment in read_fragments(message.data):
                self._digests.extend(hash(bytes(sample.data)) for sample in fragment.samples)
        except (BadInputError, FragmentError):
            self._digests.clear()  # what follows is not known to follow what was before
