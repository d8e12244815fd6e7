"""One publisher from its accepted key to its departure: a task that turns events into the part log."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord
from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.media import CHUNK_HEADER, SOURCE, Broadcast, BroadcastState
from appliance.runtime.appender import Appender
from appliance.runtime.backoff import Backoff
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.settings import Settings
from edge.ingest.broadcasts import Broadcasts, Opened
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.publisher import Publisher
from edge.ingest.rendition import Append
from edge.media.ladder import plan_ladder
from edge.protocols.rtmp import AudioData, Event, Metadata, VideoData

_OPEN_S = 20.0
_FLUSH_S = 10.0
_ITEM_BYTES = 200  # what a queued event costs besides its body

_PUBLISHERS = gauge("nearcast_ingest_publishers", "Publisher sessions running.")
_PROBLEMS = counter("nearcast_ingest_problems_total", "Problems found in publishers' streams.", ["code"])
_CHUNKS = counter("nearcast_ingest_chunks_total", "Chunks given to the part log.")


class PublisherSession:
    """Owns the packager. `offer` feeds it, `run` is its task, `end` stops it; after `done` all is out."""

    def __init__(
        self,
        settings: Settings,
        key: KeyRecord,
        key_hash: str,
        publisher: Publisher,
        *,
        broadcasts: Broadcasts,
        appender: Appender,
        predecessor: "PublisherSession | None",
    ) -> None:
        """`predecessor` is the session taken over."""
        self.key = key
        self.key_hash = key_hash
        self.done = asyncio.Event()
        self.queued_bytes = 0
        self._settings = settings
        self.publisher = publisher
        self._broadcasts = broadcasts
        self._appender = appender
        self._predecessor = predecessor
        self._queue: deque[tuple[Event, int]] = deque()
        self._wake = asyncio.Event()
        self._ending: tuple[str, bool] | None = None
        self._broadcast: Broadcast | None = None
        self._packager: Packager | None = None
        self._fences: dict[str, int] = {}
        self._pending: dict[str, asyncio.Future[int]] = {}
        self._fenced = False
        self._reported: set[str] = set()
        self._appended = False
        self._log = get_logger("ingest.session").bind(channel=key.channel)

    def offer(self, event: Event, now_us: int) -> None:
        """Queues an event. The caller bounds the queue by not reading on."""
        if self._ending is None:
            self._queue.append((event, now_us))
            self.queued_bytes += _size(event)
            self._wake.set()

    def end(self, reason: str, *, clean: bool = False) -> None:
        """The publisher is gone or must go. `clean`: the encoder said that it stops."""
        if self._ending is None:
            self._ending = (reason, clean)
            self._wake.set()

    def replace_by_other(self) -> None:
        """Another publisher with this channel's key takes over."""
        self.publisher.close("taken_over", "another encoder took over this channel")
        self.end("taken over")

    def expel(self, code: str, text: str) -> None:
        """The key is not good any more."""
        self.publisher.close(code, text)
        self.end(code)

    def abandon(self) -> None:
        """The task failed: the publisher may come back and go on behind what is in the log."""
        self.publisher.close("internal", "this stream could not be handled; connect again")
        if self._broadcast is not None:
            self._broadcasts.interrupt(self._broadcast, "internal error", clean=False)

    async def run(self, now_us: Callable[[], int]) -> None:
        """The session's task."""
        _PUBLISHERS.inc()
        try:
            await self._wait_for_predecessor()
            opened = await self._open()
            if opened is not None:
                self._start(opened)
                await self._work()
                await self._finish(now_us())
        finally:
            _PUBLISHERS.dec()
            self.done.set()

    async def _wait_for_predecessor(self) -> None:
        if self._predecessor is None:
            return
        try:
            async with asyncio.timeout(_FLUSH_S + 2):
                await self._predecessor.done.wait()
        except TimeoutError:
            self._log.warning("predecessor_does_not_end")
        self._predecessor = None

    async def _open(self) -> Opened | None:
        backoff = Backoff(0.1, 1.0)
        try:
            async with asyncio.timeout(_OPEN_S):
                while True:
                    try:
                        await self._broadcasts.relieve(self.key.channel_id)
                        return await self._broadcasts.open(self.key, self.publisher.encoder)
                    except UnavailableError as error:
                        self._log.warning("open_waits", error=error.detail)
                        await asyncio.sleep(backoff.next_delay())
        except TimeoutError:
            self.publisher.close("unavailable", "the media log does not answer; try again in a moment")
            self._broadcasts.release(self.key.channel_id)
            return None

    def _start(self, opened: Opened) -> None:
        self._broadcast = opened.broadcast
        media = self._settings.media
        self._packager = Packager(
            PackagerConfig(
                part_target_s=opened.broadcast.part_target_s,
                segment_target_s=media.segment_target_s,
                chunk_s=media.chunk_s,
            ),
            epoch=opened.broadcast.epoch,
            resume=opened.resume,
            inits=opened.inits,
            target_duration_s=opened.broadcast.target_duration_s if opened.announced else None,
        )
        self._fences = {name: point.sequence for name, point in opened.resume.items()}
        self._log = self._log.bind(broadcast=opened.broadcast.broadcast_id)
        self._log.info("publisher_started", encoder=self.publisher.encoder, epoch=opened.broadcast.epoch)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                event, now_us = self._queue.popleft()
                self.queued_bytes -= _size(event)
                self._handle(event, now_us)
                if len(self._queue) % 64 == 63:
                    await asyncio.sleep(0)  # a long queue must not hold up other publishers
            if self._ending is not None:
                return

    def _handle(self, event: Event, now_us: int) -> None:
        packager = self._packager
        if packager is None or self._fenced:
            return
        if isinstance(event, VideoData):
            self._append_all(packager.video(event.timestamp, event.body, now_us=now_us))
        elif isinstance(event, AudioData):
            self._append_all(packager.audio(event.timestamp, event.body, now_us=now_us))
        elif isinstance(event, Metadata):
            packager.metadata(event.values)
        self._keep_records(packager)
        if packager.unusable and self._ending is None:
            text = next(iter(packager.problems.values())).text
            self.publisher.close("unusable", text)
            self.end("nothing usable arrived", clean=True)

    def _append_all(self, appends: list[Append]) -> None:
        broadcast = self._broadcast
        if broadcast is None:
            return
        for append in appends:
            fence = self._fences.pop(append.rendition, None)
            if fence is None and append.rendition not in self._pending:
                fence = 0
            future = self._appender.append(
                subjects.media(broadcast.broadcast_id, append.rendition),
                append.data,
                message_id=append.header.message_id(broadcast.broadcast_id, append.rendition),
                headers={CHUNK_HEADER: append.header.encode()},
                expect_last=fence,
            )
            future.add_done_callback(self._acknowledged)
            self._pending[append.rendition] = future
            self._appended = True
            _CHUNKS.inc()

    def _acknowledged(self, future: "asyncio.Future[int]") -> None:
        if future.cancelled() or not isinstance(future.exception(), NearcastError) or self._fenced:
            return
        self._fenced = True
        self.publisher.close("taken_over", "another process of this site writes this broadcast")
        self.end("fenced off")

    def _keep_records(self, packager: Packager) -> None:
        """Brings the live records up to date with what the packager has found out."""
        broadcast = self._broadcast
        if broadcast is None:
            return
        for output in packager.renditions.values():
            if output.dirty and output.inits:
                output.dirty = False
                self._broadcasts.save_rendition(output.record(broadcast.broadcast_id))
        changed = self._described(packager, broadcast)
        ready = self._appended and packager.target_duration_s is not None
        if ready and broadcast.state is not BroadcastState.LIVE:
            self._broadcast = self._broadcasts.go_live(changed)
            self._log.info("broadcast_live", target_duration_s=changed.target_duration_s, ladder=changed.ladder)
        elif changed != broadcast:
            self._broadcast = self._broadcasts.save(changed)

    def _described(self, packager: Packager, broadcast: Broadcast) -> Broadcast:
        fixed = broadcast.started_at_ms > 0
        for code in packager.problems.keys() - self._reported:
            self._reported.add(code)
            _PROBLEMS.labels(code).inc()
            self._log.info("publisher_problem", code=code)
        ladder = broadcast.ladder if fixed and broadcast.ladder else self._ladder(packager)
        target = broadcast.target_duration_s if fixed else packager.target_duration_s
        return msgspec.structs.replace(
            broadcast,
            has_video=packager.has_video,
            has_audio=packager.has_audio,
            problems=list(packager.problems.values()),
            ladder=ladder,
            target_duration_s=target or broadcast.target_duration_s,
        )

    def _ladder(self, packager: Packager) -> list[str]:
        output = packager.renditions.get(SOURCE)
        video = output.inits[-1].video if output is not None and output.inits else None
        if video is None:
            return []
        rungs = plan_ladder(video.width, video.height, video.frame_rate, video.sample_aspect)
        return [SOURCE, *(rung.name for rung in rungs)] if self._settings.transcode.enabled else [SOURCE]

    async def _finish(self, now_us: int) -> None:
        """Ends the segments and waits until the log has everything, so that a successor can go on."""
        packager, broadcast = self._packager, self._broadcast
        if packager is None or broadcast is None:
            return
        reason, clean = self._ending or ("stopped", False)
        if not self._fenced:
            self._append_all(packager.finish(now_us=now_us))
            self._keep_records(packager)
        if self._pending:
            await asyncio.wait(self._pending.values(), timeout=_FLUSH_S)
        self._log.info("publisher_ended", reason=reason)
        if not self._fenced:
            self._broadcasts.interrupt(self._broadcast or broadcast, reason, clean=clean)


def _size(event: Event) -> int:
    body = len(event.body) if isinstance(event, VideoData | AudioData) else 0
    return body + _ITEM_BYTES
