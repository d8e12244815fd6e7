"""Access units that the decoder has, and whose pictures have not come out of it."""

from typing import NamedTuple

from av.video.frame import VideoFrame

from appliance.runtime.metrics import counter

_DAMAGED = counter("nearcast_transcode_damaged_total", "Access units from which no whole picture came.")
_MAX_REORDER = 64  # access units that are remembered while the decoder holds their pictures


class Times(NamedTuple):
    """What the decoder does not keep of an access unit: ticks, and Unix microseconds."""

    duration: int
    pdt_us: int
    late_us: int


class Awaited:
    """One decoder's. Pictures come in the order of their times: who is passed over will not come.

    What is to be shown before the key frame that the decoder began with refers to pictures that it never had.
    """

    def __init__(self) -> None:
        self._damaged = 0
        self._times: dict[int, Times] = {}
        self._begins: int | None = None
        self._forgotten = 0

    def add(self, pts: int, times: Times) -> None:
        """An access unit is given to the decoder; the first one is a key frame."""
        if self._begins is None:
            self._begins = pts
        if len(self._times) >= _MAX_REORDER:
            self._miss(next(iter(self._times)))
        self._times[pts] = times

    def take(self, frame: VideoFrame) -> Times | None:
        """The times of the picture at `frame.pts`; None when nobody waits for it, such as a second one."""
        pts = frame.pts
        times = self._times.pop(pts, None) if pts is not None else None
        if pts is None or times is None:
            return None
        passed = [one for one in self._times if one < pts]
        if frame.interlaced_frame:  # a picture of two access units, of a field each
            for one in passed:
                del self._times[one]
            passed = []
        for one in passed:
            self._miss(one)
        if frame.is_corrupt:
            self._count(pts)
        return times

    def forget(self, until: int) -> None:
        """Pictures before `until` are too late, whether they come whole or not."""
        self._forgotten = until

    def take_damaged(self) -> int:
        """Access units from which no whole picture came, since this was asked before."""
        damaged, self._damaged = self._damaged, 0
        return damaged

    def end(self) -> None:
        """The decoder has given out what it had; the next one begins with a key frame."""
        for pts in list(self._times):
            self._miss(pts)
        self._begins = None

    def _miss(self, pts: int) -> None:
        del self._times[pts]
        self._count(pts)

    def _count(self, pts: int) -> None:
        if self._begins is not None and pts >= max(self._begins, self._forgotten):
            self._damaged += 1
            _DAMAGED.inc()
