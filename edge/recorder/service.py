"""The recorder role: from the part log to the spool, with one thread for the disk."""

import asyncio
import concurrent.futures
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import CHUNK_HEADER, Broadcast, BroadcastState, ChunkHeader
from appliance.contracts.subjects import LIVE_BUCKET, MEDIA_STREAM, media_of
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.clock import now_ms
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.replica import Replica
from appliance.runtime.settings import RecorderSettings
from appliance.runtime.tasks import Tasks
from edge.recorder.assembler import FinishedSegment, SegmentAssembler
from edge.recorder.spool import Place, Spool

P = ParamSpec("P")
T = TypeVar("T")

_EVERY_S = 1.0
_TRIM_EVERY = 5  # writings
_SETTLE = 5  # writings; record and log travel apart: the last chunks may come after the end was announced
_AHEAD = 32  # parts that may wait to be taken
_WAITING_BYTES = 128 << 20  # beyond it the log is not read on: it keeps what is not read for some minutes
_SEGMENTS = counter("nearcast_recorder_segments_total", "Segments written to the spool.")
_BYTES = counter("nearcast_recorder_bytes_total", "Bytes written to the spool.")
_EVENTS = counter("nearcast_recorder_events_total", "Rare things, by name.", ["event"])
_HELD = gauge("nearcast_recorder_spool_bytes", "Bytes of media in the spool.")
_WAITING = gauge("nearcast_recorder_waiting_bytes", "Bytes that wait to be written.")


class RecorderService:
    """Built, started and stopped by `edge.app`. Events counted: bad_chunk, disk_failed, dropped_early."""

    def __init__(
        self,
        settings: RecorderSettings,
        *,
        local: Bus,
        folder: Path,
        on_failure: Callable[[BaseException], None],
        every_s: float = _EVERY_S,
    ) -> None:
        """`every_s`: how often the log is read and what is finished is written, all of it at once."""
        self._every_s = every_s
        self._local = local
        self._live = Replica(local, LIVE_BUCKET, self._live_changed, kinds=("broadcast",))
        # A segment must be readable for a window's length after it has left the playlist (6.2.2).
        self._spool = Spool(folder, 2 * settings.window_s, settings.most_bytes, settings.spare_bytes)
        self._assemblers: dict[Place, SegmentAssembler] = {}
        self._kept: dict[Place, int] = {}
        self._ended: dict[str, float] = {}
        self._removed: set[str] = set()
        self._finished: dict[Place, list[FinishedSegment]] = defaultdict(list)
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._disk = concurrent.futures.ThreadPoolExecutor(1, "spool")
        self._tasks = Tasks(on_failure)
        self._log = get_logger("recorder")

    async def start(self) -> None:
        """Returns when reading. UnavailableError, OSError."""
        await self._live.start()
        known = {key.partition(".")[2] for key, _ in self._live.items("broadcast.")}
        self._removed.clear()
        self._kept = await self._work(self._spool.open, known)
        self._tasks.start(self._read(), "recorder-read")
        self._tasks.start(self._write_for_ever(), "recorder-write")

    async def drain(self) -> None:
        """Nothing is taken from outside."""

    async def stop(self) -> None:
        """Ends; what is finished is written first."""
        await self._tasks.close()
        try:
            await self._write()
        except OSError as error:
            self._log.warning("spool_not_written", error=str(error))
        await self._live.close()
        self._disk.shutdown()

    async def _work(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *args)

    # -- records

    def _live_changed(self, key: str, value: bytes | None) -> None:
        kind, _, broadcast_id = key.partition(".")
        if kind != "broadcast":
            return
        if value is None:
            self._removed.add(broadcast_id)
            return
        try:
            record = msgspec.json.decode(value, type=Broadcast)
        except msgspec.MsgspecError:
            return
        if record.state is BroadcastState.ENDED:
            self._ended.setdefault(broadcast_id, asyncio.get_running_loop().time())

    # -- the log

    async def _read(self) -> None:
        tail = self._local.tail(MEDIA_STREAM, [media_of("*")], 1, ahead=_AHEAD, every_s=self._every_s)
        async for message in tail:
            self._take(message)
            await self._room.wait()

    def _take(self, message: LogMessage) -> None:
        _, broadcast_id, rendition = message.subject.split(".")
        try:
            header = ChunkHeader.decode(message.headers.get(CHUNK_HEADER, ""))
        except BadInputError:
            _EVENTS.labels("bad_chunk").inc()
            return
        place = broadcast_id, rendition
        assembler = self._assemblers.get(place)
        if assembler is None:
            assembler = self._assemblers[place] = SegmentAssembler(self._kept.pop(place, -1))
        self._queue(place, assembler.accept(header, message.data))

    def _queue(self, place: Place, finished: list[FinishedSegment]) -> None:
        for segment in finished:
            self._finished[place].append(segment)
            self._waiting_bytes += segment.size
        if self._waiting_bytes > _WAITING_BYTES:
            self._room.clear()

    # -- the disk

    async def _write_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(self._every_s, 15.0)
        trim_at = 0.0
        while True:
            await asyncio.sleep(self._every_s)
            self._end_broadcasts(loop.time())
            try:
                await self._write()
                if loop.time() >= trim_at:
                    await self._trim()
                    trim_at = loop.time() + _TRIM_EVERY * self._every_s
                backoff.reset()
            except OSError as error:
                _EVENTS.labels("disk_failed").inc()
                self._log.warning("disk_failed", error=str(error))
                trim_at = 0.0
                await asyncio.sleep(backoff.next_delay())

    def _end_broadcasts(self, now: float) -> None:
        """The last segment of a broadcast that is over may never be closed by its publisher."""
        over = {name for name, since in self._ended.items() if now - since >= _SETTLE * self._every_s}
        for place, assembler in list(self._assemblers.items()):
            if place[0] in over:
                self._queue(place, assembler.finish())
        for name in over:
            del self._ended[name]

    async def _write(self) -> None:
        """Writes what is finished; it is kept until it is written."""
        batch = {place: list(segments) for place, segments in self._finished.items() if segments}
        if batch:
            await self._work(self._spool.write, batch)
        for place, segments in batch.items():
            size = sum(segment.size for segment in segments)
            del self._finished[place][: len(segments)]
            self._waiting_bytes -= size
            _SEGMENTS.inc(len(segments))
            _BYTES.inc(size)
        if self._waiting_bytes <= _WAITING_BYTES:
            self._room.set()

    async def _trim(self) -> None:
        removed, self._removed = self._removed, set()
        for broadcast_id in removed:
            for place in [place for place in self._assemblers if place[0] == broadcast_id]:
                del self._assemblers[place]
                self._waiting_bytes -= sum(segment.size for segment in self._finished.pop(place, []))
            await self._work(self._spool.remove, broadcast_id)
        early = await self._work(self._spool.trim, now_ms() * 1000)
        if early:
            _EVENTS.labels("dropped_early").inc(early)
        _HELD.set(self._spool.held_bytes)
        _WAITING.set(self._waiting_bytes)
