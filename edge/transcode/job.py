"""The transcoding of one broadcast by this worker: picture and sound, under one lease."""

import asyncio
import contextlib
from collections.abc import Callable

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import AUDIO, AUDIO_AAC, SOURCE, Broadcast, Rendition
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bucket, Bus
from appliance.runtime.lease import Lease
from appliance.runtime.logs import get_logger
from edge.transcode.audio import AudioLane
from edge.transcode.control import RungControl, Usage
from edge.transcode.pictures.lane import PictureLane
from edge.transcode.source import BroadcastView
from edge.transcode.video import JobConfig, VideoLane, rungs_to_make
from edge.transcode.writer import RenditionWriter

SOURCES = (SOURCE, AUDIO)  # the renditions that a job reads


def wants_transcoding(
    broadcast: Broadcast, source: Rendition | None, audio: Rendition | None, *, pictures: bool = False
) -> bool:
    """Whether there is something to make and to make it from. `pictures`: those of the source count."""
    if rungs_to_make(broadcast, source) or (broadcast.audio == AUDIO_AAC and audio is not None):
        return True
    return pictures and source is not None and bool(source.inits) and source.inits[0].video is not None


class Job:
    """Transcodes until the broadcast ends, the lease is lost or the task is cancelled. Made in the loop."""

    def __init__(
        self,
        config: JobConfig,
        local: Bus,
        live: Bucket,
        appender: Appender,
        broadcast: Broadcast,
        changed: Callable[[], None] = lambda: None,
        lease: Lease | None = None,
    ) -> None:
        """`changed` is called in the loop when a rung has begun to run in another way.

        Nothing is written while `lease` is in doubt.
        """
        self.view = BroadcastView(broadcast)
        self._lease = lease
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        self.control = RungControl(self._on_change)
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._writer = RenditionWriter(appender, live, broadcast.broadcast_id, self._fail, lease)
        common = config, local, self.view, self._writer, self._on_failure
        self._video, self._audio = VideoLane(*common, self.control), AudioLane(*common)
        self._pictures = PictureLane(config.pictures, local, self.view, self._writer.certain)
        self._picture: asyncio.Future[None] | None = None
        self._log = get_logger("job").bind(broadcast=broadcast.broadcast_id)

    def usage(self) -> dict[str, Usage]:
        """What each thread of the picture has used so far."""
        return self._video.usage()

    @property
    def late_s(self) -> float:
        """How late the newest parts are."""
        return self._writer.late_s()

    @property
    def is_certain(self) -> bool:
        """Whether no other worker can be at this job by now."""
        return self._lease is None or self._lease.is_certain()

    async def hand_over(self, within_s: float) -> None:
        """Ends the job where segments meet, `within_s` seconds from now at the latest."""
        self.control.ends = True
        if self._picture is not None and self._video.is_transcoding:
            await asyncio.wait({self._picture}, timeout=within_s)
        if not self._over.done():
            self._over.set_result(None)

    async def run(self) -> None:
        """LeaseLostError when another worker writes; UnavailableError when the log is away for long.

        What was emitted is in the log when it returns or is cancelled, as far as the log answers.
        """
        self._picture = asyncio.ensure_future(self._video.run())
        sound = asyncio.ensure_future(self._audio.run())
        pictures = asyncio.ensure_future(self._pictures.run())
        work = asyncio.ensure_future(_both(self._picture, sound))
        self._log.info("transcoding", ladder=self.view.broadcast.ladder, audio=self.view.broadcast.audio)
        try:
            await asyncio.wait({work, self._over}, return_when=asyncio.FIRST_COMPLETED)
            for done in (work, self._over):
                if done.done():
                    done.result()
        finally:
            tasks = work, self._picture, sound, pictures
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # what the threads emitted last is appended
            self._writer.shut()
            if not self._over.done() or self._over.exception() is None:
                with contextlib.suppress(UnavailableError):
                    await self._writer.settled()

    def _on_change(self) -> None:
        self._loop.call_soon_threadsafe(self._changed)

    def _on_failure(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._writer.shut()
            self._over.set_exception(error)


async def _both(picture: "asyncio.Future[None]", sound: "asyncio.Future[None]") -> None:
    await asyncio.gather(picture, sound)
