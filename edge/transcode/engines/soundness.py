"""Whether this process can still encode: after a failure that may be the process's own and not the broadcast's.

Memory that is refused, or a library that is broken for the rest of a process's life, would fail one job after the
other, and keep broadcasts from workers that could do them.
"""

import threading

from av.video.frame import VideoFrame

from appliance.contracts.errors import UnavailableError
from edge.transcode.engines.base import TIME_BASE, EngineError, RungFormat
from edge.transcode.engines.x264 import X264

_FORM = (1280, 720)
_BIT_RATE = 3_000_000


class UnsoundError(UnavailableError):
    """This process can no longer encode; another one in its place may."""

    code = "worker_unsound"


def prove_sound(preset: str) -> None:
    """Encodes one picture as a rung of 720p does, in a thread of its own. Blocks for about 30 ms. UnsoundError."""
    failures: list[Exception] = []
    work = threading.Thread(target=_try, args=(preset, failures), name="prove-sound", daemon=True)
    try:
        work.start()
    except RuntimeError as error:  # no memory for its stack, or too many threads
        raise UnsoundError(f"this process can no longer encode: {error}") from error
    work.join()
    if failures:
        raise UnsoundError(f"this process can no longer encode: {failures[0]!r}") from failures[0]


def _try(preset: str, failures: list[Exception]) -> None:
    try:
        _encode(preset)
    except Exception as error:  # noqa: BLE001 - root of the thread: whatever it is, it is of this process
        failures.append(error)


def _encode(preset: str) -> None:
    width, height = _FORM
    encoder = X264(RungFormat(width, height, _BIT_RATE, (30, 1), preset))
    frame = VideoFrame(2 * width, 2 * height, "yuv420p")
    frame.pts, frame.time_base = 0, TIME_BASE
    if not encoder.encode(frame, True, (1, 1)):
        raise EngineError("no access unit")
