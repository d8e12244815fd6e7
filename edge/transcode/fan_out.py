"""Which of the decoded frames each rung is given. Used by the decode thread alone.

A rung changes how it runs where segments meet. A paused rung is told of each segment when that is over, as
a gap of the same number, so that its playlist goes on at the pace of the others and players leave it; its
frames are neither scaled nor encoded.
"""

from typing import NamedTuple

from appliance.contracts.transcode import RungMode
from edge.transcode.chunks import Boundary
from edge.transcode.control import RungControl
from edge.transcode.encoding import Picture
from edge.transcode.rung import Gap, RungWorker


class Start(NamedTuple):
    """Where a segment starts: its first frame's presentation time, 90 kHz ticks, and wall clock."""

    boundary: Boundary
    pts: int
    pdt_us: int


class FanOut:
    """All rungs of one broadcast."""

    def __init__(self, rungs: list[RungWorker], control: RungControl) -> None:
        self._lanes = [_Lane(rung, control) for rung in rungs]
        self._control = control

    @property
    def is_resting(self) -> bool:
        """No rung was given the frames of this segment, and none wants those of the next."""
        modes = {lane.mode for lane in self._lanes} | {self._control.mode_of(lane.name) for lane in self._lanes}
        return modes == {RungMode.PAUSED}

    def rest(self, start: Start) -> None:
        """A segment starts here that no rung is given the frames of."""
        for lane in self._lanes:
            lane.start(start, RungMode.PAUSED)

    def put(self, picture: Picture) -> None:
        """The next frame in order of presentation; `boundary` set on one that starts a segment."""
        if picture.boundary is not None:
            start = Start(picture.boundary, picture.pts, picture.pdt_us)
            for lane in self._lanes:
                lane.start(start, self._control.mode_of(lane.name))
        for lane in self._lanes:
            lane.put(picture)

    def gap(self, gap: Gap) -> None:
        """A segment without media in the source."""
        for lane in self._lanes:
            lane.gap(gap)

    def finish(self, until: int) -> None:
        """The open segment ends at media time `until`: no frame follows for now."""
        for lane in self._lanes:
            lane.finish(until)


class _Lane:
    """One rung."""

    def __init__(self, rung: RungWorker, control: RungControl) -> None:
        self.name = rung.rung.name
        self.mode = RungMode.RUNNING
        self._rung = rung
        self._control = control
        self._paused: Start | None = None  # the segment that becomes a gap when it is over
        self._index = 0  # of the frame in its segment

    def start(self, start: Start, mode: RungMode) -> None:
        self._close(start.pts)
        before, self.mode = self.mode, mode
        if self._rung.began(start.boundary.msn):
            self.mode = RungMode.RUNNING  # half of this segment is in the log already
        self._control.apply(self.name, self.mode)
        self._index = 0
        if self.mode is RungMode.PAUSED:
            self._paused = start
            if before is not RungMode.PAUSED:
                self._rung.finish()

    def put(self, picture: Picture) -> None:
        if self.mode is RungMode.PAUSED:
            return
        self._index += 1
        if self.mode is RungMode.RUNNING:
            self._rung.put(picture)
        elif self._index % 2:
            self._rung.put(picture._replace(duration=2 * picture.duration))

    def gap(self, gap: Gap) -> None:
        self._close(gap.dts)
        self._rung.put(gap)

    def finish(self, until: int) -> None:
        self._close(until)
        self._rung.finish()

    def _close(self, until: int) -> None:
        """The paused segment is over."""
        start, self._paused = self._paused, None
        if start is not None:
            self._rung.put(Gap(start.boundary, start.pts, max(1, until - start.pts), start.pdt_us))
