"""Pictures of a broadcast of which no rung is made: a key frame is decoded now and then, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable

import av.error
from av.packet import Packet
from av.video.frame import VideoFrame

from appliance.contracts.errors import NearcastError
from appliance.contracts.media import CHUNK_HEADER, SOURCE, ChunkFlag, ChunkHeader
from appliance.contracts.subjects import MEDIA_STREAM, PICTURES_BUCKET, media
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus
from appliance.runtime.logs import get_logger
from edge.protocols.fmp4 import read_fragments
from edge.transcode.decoders.software import software_context
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.forms import VideoForm
from edge.transcode.pictures.preview import UNDECODABLE, PictureRules, Pictures
from edge.transcode.source import BroadcastView
from edge.transcode.video import rungs_to_make


class PictureLane:
    """Runs beside the other lanes of a job until it is cancelled; does nothing while rungs are made."""

    def __init__(
        self, rules: PictureRules, local: Bus, view: BroadcastView, certain: Callable[[], Awaitable[None]]
    ) -> None:
        """`certain` as that of `Pictures`."""
        self._certain = certain
        self._rules = rules
        self._local = local
        self._view = view
        self._log = get_logger("pictures").bind(broadcast=view.broadcast.broadcast_id)

    async def run(self) -> None:
        """Never fails: a broadcast goes on without pictures, and they are tried again."""
        backoff = Backoff(1.0, 20.0)
        while self._rules.makes_any:
            if not self._is_alone():
                await self._view.changed()
                continue
            try:
                await self._follow()
            except NearcastError as error:
                self._log.warning("pictures_wait", error=error.detail)
                await asyncio.sleep(backoff.next_delay())

    def _is_alone(self) -> bool:
        source = self._view.rendition(SOURCE)
        has_picture = source is not None and source.inits[0].video is not None
        return has_picture and not rungs_to_make(self._view.broadcast, source)

    async def _follow(self) -> None:
        broadcast_id = self._view.broadcast.broadcast_id
        pictures = Pictures(self._local.bucket(PICTURES_BUCKET), broadcast_id, self._rules, self._certain)
        pictures.start()
        newest = await self._local.last_message(MEDIA_STREAM, media(broadcast_id, SOURCE))
        start = newest.seq if newest is not None else 1
        try:
            async for message in self._local.tail(MEDIA_STREAM, [media(broadcast_id, SOURCE)], start):
                if not self._is_alone():
                    return
                header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                if header.part == 0 and header.chunk == 0 and header.flags & ChunkFlag.INDEPENDENT:
                    await self._show(pictures, header, message.data)
        finally:
            pictures.close()

    async def _show(self, pictures: Pictures, header: ChunkHeader, data: bytes) -> None:
        if not pictures.wants(header.dts):
            return
        form = await self._view.form_of(SOURCE, header)
        if not isinstance(form, VideoForm):
            return
        frame = await asyncio.to_thread(first_frame, form, data)
        if frame is not None:
            pictures.offer(frame, form.sample_aspect, header.pdt_us)


def first_frame(form: VideoForm, data: bytes) -> VideoFrame | None:
    """The key frame that a chunk begins with; None when it cannot be decoded. Blocks for some milliseconds."""
    sample = read_fragments(data)[0].samples[0]
    try:
        decoder = software_context(form)
        packet = Packet(bytes(sample.data))
        packet.pts, packet.dts, packet.time_base = sample.pts, sample.dts, TIME_BASE
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.error.FFmpegError:
        UNDECODABLE.inc()
        return None
    for frame in frames:
        frame.pts, frame.time_base = sample.pts, TIME_BASE
    return frames[0] if frames else None
