"""Appends what the threads finish, fenced, and announces the renditions it is of."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import msgspec

from appliance.contracts.errors import LeaseLostError, UnavailableError, WrongSequenceError
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
        self, appender: Appender, live: Bucket, broadcast_id: str, failed: Callable[[BaseException], None]
    ) -> None:
        """`failed` is called in the loop: LeaseLostError when another worker writes."""
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

    async def settled(self) -> None:
        """Waits until the log has what was appended, so that it can be read where it ends. UnavailableError."""
        await asyncio.sleep(0)  # what the threads emitted last is appended
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

        `begins` finds the segment with which another init than before may be taken into use.
        """
        known = await self.known(name)
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
        await self._live.put(rendition_key(self._broadcast_id, name), msgspec.json.encode(record))
        return Announced(number, bool(inits), from_msn, max(0, number - 1))

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
        header = output.header
        future = self._appender.append(
            media(self._broadcast_id, output.rung),
            output.data,
            message_id=header.message_id(self._broadcast_id, output.rung),
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
