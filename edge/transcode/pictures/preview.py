"""When pictures are made, the thread that makes them, and their way into the bucket."""

import asyncio
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TypeVar

import av.error
import msgspec
from av.video.frame import VideoFrame

from appliance.contracts.errors import NearcastError
from appliance.contracts.pictures import StoredPicture
from appliance.contracts.subjects import preview_key, sheet_key, storyboard_key
from appliance.runtime.bus import Bucket
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, histogram
from edge.media.storyboard import Cue, parse_vtt, render_vtt
from edge.transcode.pictures.still import Still, previews
from edge.transcode.pictures.storyboard import StoryboardMaker

T = TypeVar("T")
_MADE = counter("nearcast_transcode_pictures_total", "Frames of which pictures were made, by what for.", ["kind"])
_SKIPPED = counter("nearcast_transcode_pictures_skipped_total", "Frames left out: a newer one was due first.")
_FAILED = counter("nearcast_transcode_pictures_failed_total", "Pictures not made or not stored.", ["why"])
UNDECODABLE = _FAILED.labels("decode")
_TOOK = histogram(
    "nearcast_transcode_picture_seconds",
    "CPU time of the pictures of one frame.",
    (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
_EARLY = 0.9  # segments come a little early or late: this part of the interval is enough
_STORE_S = 8.0
_NICE = 10
_COLUMNS, _ROWS = 5, 2  # a sheet of the live window: full after a hundred seconds, then never changed again


@dataclass(frozen=True, slots=True)
class PictureRules:
    """Which pictures are made. Seconds; 0 turns a kind off."""

    preview_s: float = 0.0
    storyboard_s: float = 0.0
    window_s: float = 180.0  # of the storyboard

    @property
    def makes_any(self) -> bool:
        """Whether pictures are made at all."""
        return self.preview_s > 0 or self.storyboard_s > 0


NO_PICTURES = PictureRules()


def _give_memory_back() -> None:
    """The C library keeps what was freed for this thread, 20 MB for pictures that are made every ten seconds."""
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class Pictures:
    """The pictures of one job. Made in the loop."""

    def __init__(
        self,
        bucket: Bucket,
        broadcast_id: str,
        rules: PictureRules,
        certain: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`certain` returns when no other worker can be at this job by now, and raises when one is."""
        self._certain = certain
        self._bucket = bucket
        self._broadcast_id = broadcast_id
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._ready = threading.Condition()
        self._waiting: Still | None = None  # the queue: one frame, the newest
        self._stopped = False
        self._cancel: Callable[[], object] | None = None  # what the thread waits for
        self._preview_at = float("-inf")
        self._storyboard: StoryboardMaker | None = None
        self._thread: threading.Thread | None = None
        self._log = get_logger("pictures").bind(broadcast=broadcast_id)

    def start(self) -> None:
        """Begins, going on with the storyboard that another worker left."""
        if self._rules.makes_any:
            self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Nothing is stored from now on; a frame that waits is dropped.

        The thread ends by itself: on a busy machine that takes a while, and nobody may wait for it with a lease.
        """
        with self._ready:
            self._stopped = True
            self._ready.notify()
            if self._cancel is not None:
                self._cancel()

    def offer(self, frame: VideoFrame, sample_aspect: tuple[int, int], pdt_us: int) -> None:
        """A frame that starts a segment, and its wall clock; from the decoding thread. Never waits."""
        if self._thread is None or frame.pts is None:
            return
        if not self.wants(frame.pts):
            return
        still = Still(frame, sample_aspect, frame.pts, pdt_us // 1000)
        with self._ready:
            if self._waiting is not None:
                _SKIPPED.inc()
            self._waiting = still
            self._ready.notify()

    def wants(self, pts: int) -> bool:
        """Whether a frame at `pts`, 90 kHz ticks, would be used."""
        return self._wants_preview(time.monotonic()) or self._wants_tile(pts)

    def _wants_preview(self, now: float) -> bool:
        interval = self._rules.preview_s
        return interval > 0 and now - self._preview_at >= interval * _EARLY

    def _wants_tile(self, pts: int) -> bool:
        return self._storyboard is not None and self._storyboard.is_due(pts)

    async def _left(self) -> list[Cue]:
        try:
            entry = await self._bucket.get(storyboard_key(self._broadcast_id))
            if entry is None:
                return []
            return parse_vtt(msgspec.msgpack.decode(entry.value, type=StoredPicture).data.decode())
        except (NearcastError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._log.warning("storyboard_not_read", error=repr(error))
            return []

    # -- the thread

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # on Linux, of this thread alone
        try:
            self._begin_storyboard()
            while (still := self._next()) is not None:
                self._make(still)
        except Exception as error:  # noqa: BLE001 - root of the thread: a job goes on without pictures
            _FAILED.labels("thread").inc()
            self._log.error("pictures_ended", error=repr(error), exc_info=error)

    def _begin_storyboard(self) -> None:
        rules = self._rules
        if rules.storyboard_s > 0:
            self._storyboard = StoryboardMaker(
                step_s=rules.storyboard_s,
                window_s=rules.window_s,
                version=self._broadcast_id[-8:],
                cues=self._in_loop(self._left()) or [],
                columns=_COLUMNS,
                rows=_ROWS,
            )

    def _next(self) -> Still | None:
        with self._ready:
            self._ready.wait_for(lambda: self._stopped or self._waiting is not None)
            still, self._waiting = self._waiting, None
            return None if self._stopped else still

    def _make(self, still: Still) -> None:
        began = time.thread_time()
        files: dict[str, bytes] = {}
        try:
            if self._wants_preview(time.monotonic()):
                self._preview_at = time.monotonic()
                files |= self._previews(still)
            if self._storyboard is not None and self._storyboard.is_due(still.pts):
                files |= self._tile(self._storyboard, still)
        except av.error.FFmpegError as error:
            _FAILED.labels("frame").inc()
            self._log.debug("no_picture", error=repr(error))
        if files:
            _TOOK.observe(time.thread_time() - began)
            _give_memory_back()
            self._in_loop(self._store(files, still.at_ms))

    def _previews(self, still: Still) -> dict[str, bytes]:
        _MADE.labels("preview").inc()
        return {preview_key(self._broadcast_id, size, form): data for (size, form), data in previews(still).items()}

    def _tile(self, storyboard: StoryboardMaker, still: Still) -> dict[str, bytes]:
        drawn = storyboard.add(still)
        _MADE.labels("tile").inc()
        return {
            sheet_key(self._broadcast_id, drawn.sheet): drawn.image,
            storyboard_key(self._broadcast_id): render_vtt(drawn.cues).encode(),
        }

    # -- the bucket

    def _in_loop(self, work: Coroutine[None, None, T]) -> T | None:
        """Waits for what the loop does: a slow bus makes fewer pictures, never a queue. None when it failed."""
        with self._ready:
            if self._stopped:
                work.close()
                return None
            waited = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._cancel = waited.cancel
        try:
            return waited.result(_STORE_S)
        except (NearcastError, TimeoutError, CancelledError) as error:
            waited.cancel()
            _FAILED.labels("store").inc()
            self._log.debug("picture_not_stored", error=repr(error))
            return None

    async def _store(self, files: Mapping[str, bytes], at_ms: int) -> None:
        """The sheet lies there before the text that names it."""
        for key, data in files.items():
            if self._certain is not None:
                await self._certain()
            await self._bucket.put(key, msgspec.msgpack.encode(StoredPicture(at_ms, data)))
