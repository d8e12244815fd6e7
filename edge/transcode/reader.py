"""Reads one source rendition from the log into a pipeline of threads, no faster than that works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from appliance.contracts.media import CHUNK_HEADER, ChunkFlag, ChunkHeader
from appliance.contracts.subjects import MEDIA_STREAM
from appliance.runtime.bus import Bus, LogMessage
from edge.transcode.chunks import SourceChunk
from edge.transcode.forms import AudioForm, VideoForm
from edge.transcode.source import BroadcastView

_AHEAD = 16  # source chunks between the log's reader and the decoder, and as many before the reader
_LEAD_BYTES = 32 << 20

FormOf = Callable[[ChunkHeader], Awaitable[VideoForm | AudioForm | None]]


class Sink(Protocol):
    """What is read goes here."""

    def put(self, chunk: SourceChunk) -> None:
        """Hands over a chunk."""

    def drain(self) -> None:
        """The source has paused or ended."""


class Lead:
    """Chunks before the first wanted segment, kept as long as its decoding may have to begin in them.

    They are needed when that segment begins without a key frame, and are dropped when it begins with one.
    Bounded: beyond `limit` bytes they are handed over as if they were needed.
    """

    def __init__(self, msn: int, limit: int = _LEAD_BYTES, *, needs_all: bool = False) -> None:
        """`msn` is the first wanted segment; `needs_all`: nothing is ever dropped."""
        self._msn = msn
        self._limit = limit
        self._held: list[SourceChunk] = []
        self._size = 0
        self._passes = needs_all

    def take(self, chunk: SourceChunk) -> list[SourceChunk]:
        """The chunks to decode now, `chunk` among them or kept."""
        if self._passes:
            return [chunk]
        header = chunk.header
        independent = header.flags & (ChunkFlag.INDEPENDENT | ChunkFlag.GAP)
        if independent:
            self._held, self._size = [], 0
        self._held.append(chunk)
        self._size += len(chunk.data)
        self._passes = header.msn >= self._msn or self._size > self._limit
        return self._release() if self._passes else []

    def _release(self) -> list[SourceChunk]:
        held, self._held, self._size = self._held, [], 0
        return held


class SourceReader:
    """Made in the loop. `taken` is to be called for each chunk that the sink has worked off."""

    def __init__(self, local: Bus, subject: str, idle_s: float) -> None:
        self._local = local
        self._subject = subject
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_AHEAD)
        self._drained = True
        self._closed = True  # the last chunk ended its segment
        self._came_at = self._loop.time()

    def taken(self) -> None:
        """One chunk less on its way. Called from the sink's thread."""
        self._loop.call_soon_threadsafe(self._room.release)

    async def run(
        self,
        start: int,
        lead: Lead,
        sink: Sink,
        form_of: FormOf,
        view: BroadcastView,
    ) -> None:
        """From stream sequence `start` on, until the broadcast is over and the log is worked off.

        The sink is drained when the log is quiet behind a finished segment, or at the end: a publisher that
        only stalls goes on in its open segment, and so must whatever is made of it. One that is there may have left
        out pictures, of which the segment before lasts longer: it is given a segment's time.
        """
        messages = self._local.tail(MEDIA_STREAM, [self._subject], start, ahead=_AHEAD).__aiter__()
        coming = asyncio.ensure_future(anext(messages))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=self._idle_s)
                if done:
                    message = coming.result()
                    coming = asyncio.ensure_future(anext(messages))
                    await self._hand_over(message, lead, sink, form_of)
                elif self._is_idle(sink, view):
                    return
        finally:
            coming.cancel()

    async def _hand_over(self, message: LogMessage, lead: Lead, sink: Sink, form_of: FormOf) -> None:
        header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
        form = None if header.flags & ChunkFlag.GAP or not message.data else await form_of(header)
        for chunk in lead.take(SourceChunk(message.seq, header, message.data, form)):
            await self._room.acquire()
            sink.put(chunk)
        self._drained = False
        self._came_at = self._loop.time()
        self._closed = bool(header.flags & ChunkFlag.LAST_OF_SEGMENT)

    def _is_idle(self, sink: Sink, view: BroadcastView) -> bool:
        """Nothing came for a while: drains the sink when it is due; whether reading is over."""
        stalls = view.is_live and self._loop.time() - self._came_at < view.broadcast.target_duration_s
        if not self._drained and (view.is_over or (self._closed and not stalls)):
            sink.drain()
            self._drained = True
        return view.is_over
