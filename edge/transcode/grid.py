"""Puts sound into the frames of a fixed grid: frame k is [k * FRAME, (k + 1) * FRAME) of media time.

A fixed grid is what makes a take-over exact: whoever encodes, frame k is the same samples.
"""

from typing import NamedTuple

from edge.transcode.sound import FRAME, SAMPLE_BYTES, Pcm


class GridFrame(NamedTuple):
    """FRAME samples per plane at `position`. `is_run_start`: it does not follow the frame before."""

    position: int
    planes: list[bytes]
    is_run_start: bool


class Grid:
    """Holes of less than a frame become silence; a frame that no sample is for is not made at all."""

    def __init__(self, channels: int) -> None:
        self._planes = [bytearray() for _ in range(channels)]
        self._start: int | None = None  # of the frame being filled; None between runs
        self._next = 0  # frames before this position were given out
        self._begins = False

    def push(self, pcm: Pcm) -> list[GridFrame]:
        """The frames that `pcm` completes, those of an earlier run first."""
        position = max(pcm.position, self._end)
        if position >= pcm.end:
            return []
        out: list[GridFrame] = []
        if self._start is not None and position // FRAME * FRAME > self._last_frame:
            out += self.finish()
        if self._start is None:
            self._start = position // FRAME * FRAME
            self._begins = True
        hole = position - self._end
        skipped = (position - pcm.position) * SAMPLE_BYTES
        for plane, data in zip(self._planes, pcm.planes, strict=True):
            plane += bytes(hole * SAMPLE_BYTES)
            plane += data[skipped:]
        return out + self._whole()

    def finish(self) -> list[GridFrame]:
        """The frame being filled, with silence behind its samples; the run is over."""
        out: list[GridFrame] = []
        if self._start is not None and self._planes[0]:
            for plane in self._planes:
                plane += bytes(FRAME * SAMPLE_BYTES - len(plane))
            out = self._whole()
        self._start = None
        return out

    @property
    def _end(self) -> int:
        """Position behind the last sample there is."""
        if self._start is None:
            return self._next
        return self._start + len(self._planes[0]) // SAMPLE_BYTES

    @property
    def _last_frame(self) -> int:
        """The last frame that sound may begin in without another being left out."""
        return -(-self._end // FRAME) * FRAME

    def _whole(self) -> list[GridFrame]:
        out = []
        size = FRAME * SAMPLE_BYTES
        while self._start is not None and len(self._planes[0]) >= size:
            out.append(GridFrame(self._start, [bytes(plane[:size]) for plane in self._planes], self._begins))
            for plane in self._planes:
                del plane[:size]
            self._begins = False
            self._start += FRAME
            self._next = self._start
        return out
