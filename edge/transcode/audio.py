"""The sound's part of a job: rendition "aac" of what players cannot hear."""

import asyncio
from collections.abc import Callable

from appliance.contracts.media import AUDIO, AUDIO_AAC, AudioFormat, Rendition
from appliance.contracts.subjects import media
from appliance.runtime.bus import Bus
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import AudioTrack, init_segment
from edge.transcode.audio_pipeline import AudioPipeline
from edge.transcode.reader import Lead, SourceReader
from edge.transcode.resume import RungPosition, find_start
from edge.transcode.sound import BIT_RATE, RATE
from edge.transcode.source import BroadcastView
from edge.transcode.video import JobConfig
from edge.transcode.writer import RenditionWriter

_PEAK = 1.1
_CODEC = "mp4a.40.2"
_WITHOUT_END = 1 << 62


class AudioLane:
    """Runs until the broadcast is over or something fails."""

    def __init__(
        self,
        config: JobConfig,
        local: Bus,
        view: BroadcastView,
        writer: RenditionWriter,
        failed: Callable[[BaseException], None],
    ) -> None:
        """`failed` may be called from any thread."""
        self._config = config
        self._local = local
        self._view = view
        self._writer = writer
        self._failed = failed

    async def run(self) -> None:
        """UnavailableError when the log is away for long."""
        source = await self._source()
        if source is None:
            return
        broadcast_id = self._view.broadcast.broadcast_id
        while (start := await find_start(self._local, broadcast_id, [AUDIO_AAC], source=AUDIO)) is None:
            if self._view.is_over:
                return
            await asyncio.sleep(0.1)
        self._writer.fence(start.rungs)
        reader = SourceReader(self._local, media(broadcast_id, AUDIO), self._config.idle_drain_s)
        pipeline = await self._pipeline(source, start.rungs[AUDIO_AAC], reader.taken)
        lead = Lead(start.msn, needs_all=start.rungs[AUDIO_AAC].last is not None)
        pipeline.start()
        try:
            await reader.run(
                start.sequence,
                lead,
                pipeline,
                lambda header: self._view.form_of(AUDIO, header),
                self._view,
            )
        finally:
            await asyncio.to_thread(pipeline.stop)

    async def _source(self) -> Rendition | None:
        """Waits until there is sound to be made: it may come later than the picture."""
        while not self._view.is_over:
            source = self._view.rendition(AUDIO)
            if source is not None and self._view.broadcast.audio == AUDIO_AAC:
                return source
            await self._view.changed()
        return None

    async def _pipeline(
        self, source: Rendition, position: RungPosition, taken: Callable[[], None]
    ) -> AudioPipeline:
        known = await self._writer.known(AUDIO_AAC)
        channels = _channels(known if known is not None and known.inits else source)
        segmenter = SegmenterConfig(
            timescale=RATE,
            part_target=int(self._view.broadcast.part_target_s * RATE),
            segment_target=round(self._config.segment_target_s * RATE),
            max_segment=_WITHOUT_END,
            given_boundaries=True,
        )
        pipeline = AudioPipeline(
            segmenter, source.timescale, channels, position, self._writer.emit, taken, self._failed
        )
        bit_rate = BIT_RATE * channels // 2
        track = AudioTrack(config=pipeline.config, timescale=RATE, channels=channels, bit_rate=bit_rate)
        announced = await self._writer.announce(
            AUDIO_AAC,
            RATE,
            round(bit_rate * _PEAK),
            init_segment(track),
            audio=AudioFormat(codec=_CODEC, sample_rate=RATE, channels=channels),
        )
        pipeline.init, pipeline.mark_discontinuity = announced.init, announced.is_changed
        return pipeline


def _channels(rendition: Rendition) -> int:
    """As the broadcast began; stereo at most."""
    form = rendition.inits[0].audio
    return min(2, max(1, form.channels)) if form is not None else 2
