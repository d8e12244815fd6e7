"""Announces the initialisation segments of a rung, and says with which segment each is taken into use.

One that differs from the one before needs a discontinuity in every rendition at the same segment (RFC 8216bis,
6.2.4: matching content has matching discontinuity sequence numbers). The record of the rendition says which
segment that is before ingest begins it, and the origin marks it in all of them.
"""

import asyncio
import concurrent.futures

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import CHUNK_HEADER, SOURCE, VIDEO_TIMESCALE, ChunkFlag, ChunkHeader, VideoFormat
from appliance.contracts.subjects import MEDIA_STREAM, media
from appliance.runtime.bus import Bus
from edge.media.ladder import Rung
from edge.protocols.codecs import avc
from edge.protocols.fmp4 import VideoTrack, init_segment, read_init
from edge.transcode.engines.annexb import same_sets
from edge.transcode.rung import InitUse
from edge.transcode.source import BroadcastView
from edge.transcode.writer import RenditionWriter

PEAK = 1.25  # a segment's rate against the rung's: what a player must plan for
_SHORTEST = 0.9  # of the segment target: sooner no segment of the source ends
_AHEAD_S = 0.5  # that a discontinuity is known before its segment begins
_ANNOUNCE_S = 10.0


def change_segment(newest: ChunkHeader, part_target_s: float, segment_target_s: float) -> int:
    """The first segment that nobody has begun when the word has gone round; `newest` is the source's last chunk."""
    elapsed_s = (newest.part + 1) * part_target_s
    open_still = not newest.flags & ChunkFlag.LAST_OF_SEGMENT
    soon = open_still and elapsed_s <= _SHORTEST * segment_target_s - _AHEAD_S
    return newest.msn + (1 if soon else 2)


class Changes:
    """The last change that was announced: rungs that fail together change together."""

    def __init__(self) -> None:
        self.msn = 0


class Announcer:
    """One rung's. Made in the loop."""

    def __init__(
        self,
        segment_target_s: float,
        local: Bus,
        view: BroadcastView,
        writer: RenditionWriter,
        rung: Rung,
        changes: Changes,
    ) -> None:
        self._segment_target_s = segment_target_s
        self._local = local
        self._view = view
        self._writer = writer
        self._rung = rung
        self._changes = changes
        self._loop = asyncio.get_running_loop()

    async def announce(self, config: bytes, *, is_first: bool = False) -> InitUse:
        """Writes the record where it says something else. `is_first`: the rendition has no media yet."""
        rung = self._rung
        data = init_segment(VideoTrack(config=config, width=rung.width, height=rung.height))
        known = await self._writer.known(rung.name)
        if known is not None and known.inits and same_sets(read_init(known.inits[-1].data).config, config):
            data = known.inits[-1].data
        announced = await self._writer.announce(
            rung.name,
            VIDEO_TIMESCALE,
            round(rung.bit_rate * PEAK),
            data,
            video=VideoFormat(
                codec=avc.parse_config(config).rfc6381(),
                width=rung.width,
                height=rung.height,
                frame_rate=rung.frame_rate,
            ),
            begins=None if is_first else self._begins,
        )
        return InitUse(announced.init, announced.from_msn, announced.before)

    def change(self, config: bytes) -> InitUse:
        """The same from a thread, which waits. UnavailableError when the log is away."""
        future = asyncio.run_coroutine_threadsafe(self.announce(config), self._loop)
        try:
            return future.result(_ANNOUNCE_S)
        except concurrent.futures.TimeoutError as error:
            future.cancel()
            raise UnavailableError("the log does not answer") from error

    async def _begins(self) -> int:
        newest = await self._local.last_message(MEDIA_STREAM, media(self._view.broadcast.broadcast_id, SOURCE))
        if newest is None:
            return 0
        header = ChunkHeader.decode(newest.headers[CHUNK_HEADER])
        if self._changes.msn <= header.msn:
            target_s = self._view.broadcast.part_target_s
            self._changes.msn = change_segment(header, target_s, self._segment_target_s)
        return self._changes.msn
