"""Keeps what an encoder sends in a file for a supporter: an FLV that players open, and when each tag came.

Stream keys are in neither: they are not part of media or metadata.
"""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

from appliance.contracts.session import CaptureAnswer, CaptureRequest
from appliance.runtime.clock import now_ms, now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.tasks import Tasks
from edge.protocols import amf
from edge.protocols.flv import file as flv_file
from edge.protocols.rtmp import AudioData, Event, Metadata, VideoData

_MAX_S, _MAX_BYTES = 300.0, 512 << 20
_FLUSH_S = 0.5
_AT_ONCE = 4
_KEPT = 20  # files of earlier captures
_SECRET = re.compile(r"nck_\w+")
_CAPTURES = counter("nearcast_ingest_captures_total", "Captures made on request.")


class Capture:
    """One running capture: `take` never blocks, the files are written by `run`."""

    def __init__(self, file: Path, request: CaptureRequest) -> None:
        self.file = file
        self._seconds = min(max(request.seconds, 1.0), _MAX_S)
        self._left = min(max(request.max_bytes, 1 << 16), _MAX_BYTES)
        self._media = bytearray(flv_file.HEADER)
        self._times: list[str] = []

    def take(self, event: Event, arrived_us: int) -> None:
        """An event of the session. What is beyond the limit is left out."""
        if isinstance(event, VideoData):
            self._add(flv_file.VIDEO, event.timestamp, event.body, arrived_us)
        elif isinstance(event, AudioData):
            self._add(flv_file.AUDIO, event.timestamp, event.body, arrived_us)
        elif isinstance(event, Metadata):
            values = {name: _without_key(value) for name, value in event.values.items()}
            self._add(flv_file.SCRIPT, 0, amf.encode(["onMetaData", values]), arrived_us)

    def _add(self, kind: int, stamp: int, body: bytes, arrived_us: int) -> None:
        if self._left < len(body):
            self._left = 0
            return
        self._left -= len(body)
        self._media += flv_file.file_tag(kind, stamp, body)
        self._times.append(f"{arrived_us} {kind} {stamp} {len(body)}\n")

    async def run(self) -> None:
        """Writes until the time or the bytes are used up. OSError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while loop.time() < until and self._left:
            await asyncio.sleep(_FLUSH_S)
            await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        media, self._media = bytes(self._media), bytearray()
        times, self._times = "".join(self._times), []
        await asyncio.to_thread(_append, self.file, media, times)


class Captures:
    """Those that run, by channel."""

    def __init__(self, folder: Path, tasks: Tasks) -> None:
        self._folder = folder
        self._tasks = tasks
        self.running: dict[str, Capture] = {}
        self._log = get_logger("ingest.capture")

    def start(self, request: CaptureRequest, head: Iterable[Event]) -> CaptureAnswer:
        """Begins, for a channel that is published here. `head`: what configures the frames that will come."""
        if len(self.running) >= _AT_ONCE or request.channel in self.running:
            return CaptureAnswer(detail="this channel, or enough others, is being captured already")
        file = self._folder / f"{request.channel}-{now_ms()}.flv"
        capture = self.running[request.channel] = Capture(file, request)
        for event in head:
            capture.take(event, now_us())
        self._tasks.start(self._run(request.channel, capture), "ingest-capture")
        return CaptureAnswer(file=str(file))

    def take(self, channel: str, event: Event, arrived_us: int) -> None:
        """An event of a channel's session."""
        capture = self.running.get(channel)
        if capture is not None:
            capture.take(event, arrived_us)

    async def _run(self, channel: str, capture: Capture) -> None:
        _CAPTURES.inc()
        try:
            await asyncio.to_thread(_make_room, self._folder)
            await capture.run()
            self._log.info("captured", channel=channel, file=str(capture.file))
        except OSError as error:
            self._log.error("capture_failed", channel=channel, error=repr(error))
        finally:
            self.running.pop(channel, None)


def _append(file: Path, media: bytes, times: str) -> None:
    with file.open("ab") as flv:
        flv.write(media)
    with file.with_suffix(".times").open("a", encoding="ascii") as log:
        log.write(times)


def _make_room(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.flv"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".times").unlink(missing_ok=True)


def _without_key(value: amf.AmfValue) -> amf.AmfValue:
    """Some encoders repeat their settings in the metadata."""
    return _SECRET.sub("(key)", value) if isinstance(value, str) else value
