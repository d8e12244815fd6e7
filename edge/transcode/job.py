"""The transcoding of one broadcast by this worker: picture and sound, under one lease."""

import asyncio

from appliance.contracts.media import AUDIO, AUDIO_AAC, SOURCE, Broadcast, Rendition
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bucket, Bus
from appliance.runtime.logs import get_logger
from edge.transcode.audio import AudioLane
from edge.transcode.source import BroadcastView
from edge.transcode.video import JobConfig, VideoLane, rungs_to_make
from edge.transcode.writer import RenditionWriter

SOURCES = (SOURCE, AUDIO)  # the renditions that a job reads


def wants_transcoding(broadcast: Broadcast, source: Rendition | None, audio: Rendition | None) -> bool:
    """Whether there is something to make and to make it from."""
    return bool(rungs_to_make(broadcast, source)) or (broadcast.audio == AUDIO_AAC and audio is not None)


class Job:
    """Transcodes until the broadcast ends, the lease is lost or the task is cancelled. Made in the loop."""

    def __init__(
        self, config: JobConfig, local: Bus, live: Bucket, appender: Appender, broadcast: Broadcast
    ) -> None:
        self.view = BroadcastView(broadcast)
        self._config = config
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._writer = RenditionWriter(appender, live, broadcast.broadcast_id, self._fail)
        self._log = get_logger("job").bind(broadcast=broadcast.broadcast_id)

    async def run(self) -> None:
        """LeaseLostError when another worker writes; UnavailableError when the log is away for long."""
        lanes: list[asyncio.Future[None]] = [
            asyncio.ensure_future(lane(self._config, self._local, self.view, self._writer, self._on_failure).run())
            for lane in (VideoLane, AudioLane)
        ]
        work = asyncio.ensure_future(_all(lanes))
        self._log.info("transcoding", ladder=self.view.broadcast.ladder, audio=self.view.broadcast.audio)
        try:
            await asyncio.wait({work, self._over}, return_when=asyncio.FIRST_COMPLETED)
            for done in (work, self._over):
                if done.done():
                    done.result()
        finally:
            for task in (work, *lanes):
                task.cancel()
            await asyncio.gather(work, *lanes, return_exceptions=True)
            await asyncio.sleep(0)  # what the threads emitted last is appended
            self._writer.shut()

    def _on_failure(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._writer.shut()
            self._over.set_exception(error)


async def _all(lanes: "list[asyncio.Future[None]]") -> None:
    await asyncio.gather(*lanes)
