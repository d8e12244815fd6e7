"""Appends what the threads finish, fenced, and announces the renditions it is of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import msgspec

from appliance.contracts.errors import ConflictError, LeaseLostError, UnavailableError, WrongSequenceError
from appliance.contracts.media import (
    CHUNK_HEADER,
    AudioFormat,
    ChunkFlag,
    Init,
    Rendition,
    VideoFormat,
)
from appliance.contracts.subjects import media, rendition_key
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bucket
from appliance.runtime.clock import now_us
from appliance.runtime.ids import new_id
from appliance.runtime.lease import Lease
from appliance.runtime.metrics import counter, histogram
from edge.transcode.chunks import Output
from edge.transcode.resume import SOURCE_SEQUENCE, RungPosition

_PARTS = counter("nearcast_transcode_parts_total", "Parts appended.", ["rung"])
_LATENCY = histogram(
    "nearcast_transcode_part_latency_seconds",
    "From the arrival of a part's last frame to the transcoded part.",
    (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1, 2, 5),
    ["rung"],
)
_SETTLE_S = 10.0
_LATELY_S = 5.0


class Announced(NamedTuple):
    """The initialisation segment in use, and whether it is another than the one before.

    It serves from segment `from_msn` on; `before` is the number of the one that decodes older segments.
    """

    init: int
    is_changed: bool
    from_msn: int = 0
    before: int = 0


class RenditionWriter:
    """One job's way into the log. Made in the loop; `emit` may be called from any thread."""

    def __init__(
        self,
        appender: Appender,
        live: Bucket,
        broadcast_id: str,
        failed: Callable[[BaseException], None],
        lease: Lease | None = None,
    ) -> None:
        """`failed` is called in the loop: LeaseLostError when another worker writes.

        Nothing is written while `lease` is in doubt; without one nobody else writes.
        """
        self._lease = lease
        self._mark = new_id()  # the same part made by two workers is two parts: one of them is to be refused
        self._held: list[Output] = []  # bounded by what the threads may have on its way
        self._proving: asyncio.Future[None] | None = None
        self._appender = appender
        self._live = live
        self._broadcast_id = broadcast_id
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._fences: dict[str, int] = {}
        self._shut = False
        self._late: dict[str, tuple[float, float]] = {}  # of each rendition's last part: when, how late
        self._pending: set[asyncio.Future[int]] = set()

    def fence(self, positions: Mapping[str, RungPosition]) -> None:
        """The first append of each rendition must find the log as it was read."""
        self._fences |= {name: position.last_sequence for name, position in positions.items()}

    def shut(self) -> None:
        """Nothing is appended from now on."""
        self._shut = True
        if self._proving is not None:
            self._proving.cancel()

    async def certain(self) -> None:
        """Returns when it is certain that no other worker does this job. LeaseLostError when one does."""
        if self._lease is not None:
            await self._lease.certain()

    async def settled(self) -> None:
        """Waits until the log has what was appended, so that it can be read where it ends. UnavailableError."""
        await asyncio.sleep(0)  # what the threads emitted last is appended
        if self._proving is not None:
            await asyncio.wait({self._proving}, timeout=_SETTLE_S)
        if not self._pending:
            return
        _, late = await asyncio.wait(self._pending, timeout=_SETTLE_S)
        if late:
            raise UnavailableError("the log does not answer")

    def late_s(self) -> float:
        """From the arrival of a part's last frame to the part, of the latest rendition in the last seconds."""
        since = self._loop.time() - _LATELY_S
        return max((late_s for at, late_s in self._late.values() if at >= since), default=0.0)

    async def announce(
        self,
        name: str,
        timescale: int,
        bandwidth: int,
        data: bytes,
        *,
        video: VideoFormat | None = None,
        audio: AudioFormat | None = None,
        begins: Callable[[], Awaitable[int]] | None = None,
    ) -> Announced:
        """Writes the rendition's record; the init already there is used when it is the same.

        `begins` finds the segment with which another init than before may be taken into use. LeaseLostError when
        another worker writes it at the same time.
        """
        entry = await self._live.get(rendition_key(self._broadcast_id, name))
        known = msgspec.json.decode(entry.value, type=Rendition) if entry is not None else None
        inits = known.inits if known is not None else []
        if inits and inits[-1].data == data:
            before = inits[-2].init if len(inits) > 1 else 0
            return Announced(inits[-1].init, False, inits[-1].from_msn, before)
        number = inits[-1].init + 1 if inits else 0
        from_msn = await begins() if inits and begins is not None else 0
        record = Rendition(
            broadcast_id=self._broadcast_id,
            name=name,
            timescale=timescale,
            bandwidth=bandwidth,
            inits=[*inits, Init(init=number, data=data, from_msn=from_msn, video=video, audio=audio)],
        )
        await self._write(record, entry.revision if entry is not None else None)
        return Announced(number, bool(inits), from_msn, max(0, number - 1))

    async def _write(self, record: Rendition, revision: int | None) -> None:
        key, value = rendition_key(self._broadcast_id, record.name), msgspec.json.encode(record)
        await self.certain()
        try:
            if revision is None:
                await self._live.create(key, value)
            else:
                await self._live.update(key, value, revision)
        except ConflictError:
            raise LeaseLostError("another worker announced this rendition") from None

    async def known(self, name: str) -> Rendition | None:
        """The record of a rendition as another worker left it."""
        entry = await self._live.get(rendition_key(self._broadcast_id, name))
        return msgspec.json.decode(entry.value, type=Rendition) if entry is not None else None

    def emit(self, output: Output) -> None:
        """Appends a finished chunk."""
        self._loop.call_soon_threadsafe(self._append, output)

    def _append(self, output: Output) -> None:
        if self._shut:
            return
        if self._held or not (self._lease is None or self._lease.is_certain()):
            self._held.append(output)
            if self._proving is None:
                self._proving = asyncio.ensure_future(self._prove())
            return
        self._send(output)

    async def _prove(self) -> None:
        """What waits is appended when it is certain that it may; else the job is over."""
        try:
            await self.certain()
        except LeaseLostError as error:
            self._failed(error)
            return
        finally:
            self._proving = None
        held, self._held = self._held, []
        for output in held:
            self._send(output)

    def _send(self, output: Output) -> None:
        header = output.header
        future = self._appender.append(
            media(self._broadcast_id, output.rung),
            output.data,
            message_id=f"{header.message_id(self._broadcast_id, output.rung)}.{self._mark}",
            headers={CHUNK_HEADER: header.encode(), SOURCE_SEQUENCE: str(output.source_sequence)},
            expect_last=self._fences.pop(output.rung, None),
        )
        self._pending.add(future)
        future.add_done_callback(self._on_appended)
        if header.flags & ChunkFlag.LAST_OF_PART and output.data:
            _PARTS.labels(output.rung).inc()
            late_s = max(0.0, (now_us() - header.late_us) / 1e6)
            _LATENCY.labels(output.rung).observe(late_s)
            if header.late_us:
                self._late[output.rung] = self._loop.time(), late_s

    def _on_appended(self, future: "asyncio.Future[int]") -> None:
        self._pending.discard(future)
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, WrongSequenceError):
            self._failed(LeaseLostError("another worker appended to this rendition"))
        elif error is not None:
            self._failed(error)
