"""Which of the decoded frames each rung is given. Used by the decode thread alone.

A rung changes how it runs where segments meet. A paused rung is given the times of the frames without what
they show: its parts are cut where they would be, and are GAP parts. So its playlist goes on when the others'
do, and players leave it with its first part; nothing is scaled or encoded for it.

The largest rung that runs is scaled here, and those of half its size or less are scaled on from its picture: a
quarter less work than scaling the source for each. For those in between it would cost sharpness. Where the decoders
scale, each rung has a picture of its own from them.
"""

import av.error

from appliance.contracts.transcode import RungMode
from appliance.runtime.logs import get_logger
from edge.media.ladder import scales_on
from edge.transcode.control import RungControl
from edge.transcode.decoders.base import Wanted
from edge.transcode.encoding import Picture
from edge.transcode.engines.base import EngineError
from edge.transcode.engines.scaler import Scaler
from edge.transcode.rung import Gap, Missing, RungWorker
from edge.transcode.still import Still


class FanOut:
    """All rungs of one broadcast."""

    def __init__(self, rungs: list[RungWorker], control: RungControl) -> None:
        self._lanes = [_Lane(rung, control) for rung in rungs]
        self._control = control
        self._last: Picture | None = None  # that was shown; None while nothing is decoded
        self._still: Still | None = None  # it, since the source has no pictures
        self._log = get_logger("fan_out")
        self._shrinks: Scaler | None = None  # to the largest rung that runs, where others are made of it

    @property
    def is_resting(self) -> bool:
        """No rung was given the frames of this segment, and none wants those of the next."""
        modes = {lane.mode for lane in self._lanes} | {self._control.mode_of(lane.name) for lane in self._lanes}
        return modes == {RungMode.PAUSED}

    def wanted(self, msn: int) -> list[Wanted]:
        """Who is to be given pictures from this segment on, the smallest rung when nobody wants them."""
        running = [lane for lane in self._lanes if lane.is_to_run(msn)]
        if not running:
            running = sorted(self._lanes, key=lambda lane: lane.size)[:1]
        return [lane.wanted() for lane in running]

    def put(self, picture: Picture) -> None:
        """The next frame in order of presentation; `boundary` set on one that starts a segment.

        Without `frame` where nothing is decoded because no rung wants it.
        """
        self._last, self._still = (picture if picture.frame is not None else None), None
        self._give(picture)

    def recall(self, picture: Picture) -> None:
        """It was shown last, while no rung wanted frames."""
        self._last = picture

    def _give(self, picture: Picture) -> None:
        if picture.boundary is not None:
            self._start(picture.boundary.msn, picture)
        if picture.scaled is not None:
            for lane in self._lanes:
                lane.put(picture.of(lane.name))
            return
        for lane in self._lanes:  # they begin meanwhile
            if not lane.is_shrunk:
                lane.put(picture)
        shrinking = [lane for lane in self._lanes if lane.is_shrunk]
        shrunk = self._shrunk(picture) if any(lane.wants(picture) for lane in shrinking) else picture
        for lane in shrinking:
            lane.put(shrunk)

    def missing(self, missing: Missing) -> None:
        """A part that the source has no pictures for: the last one is shown on, if there was one."""
        still = self._still = self._still or self._last_again()
        if still is not None:
            for picture in still.instead_of(missing):
                self._give(picture)
            return
        if missing.boundary is not None:
            self._start(missing.boundary.msn)
        for lane in self._lanes:
            lane.pass_on(missing)

    def _last_again(self) -> Still | None:
        last, self._last = self._last, None
        if last is None or last.frame is None:
            return None
        try:
            return Still(last, last.frame)
        except EngineError as error:
            self._log.warning("no_still", error=error.detail)
            return None

    def _start(self, msn: int, picture: Picture | None = None) -> None:
        """A segment begins, with this picture. None: with none, for all alike."""
        for lane in self._lanes:
            runs = picture is None or picture.is_for(lane.name)
            lane.start(msn, self._control.mode_of(lane.name) if runs else RungMode.PAUSED)
        self._shrinks = self._shrinking()

    def _shrinking(self) -> Scaler | None:
        """To the largest picture that is wanted, when another one is made of it."""
        running = [lane for lane in self._lanes if lane.mode is not RungMode.PAUSED]
        width, height = max((lane.size for lane in running), default=(0, 0), key=lambda size: size[0] * size[1])
        for lane in self._lanes:
            lane.is_shrunk = scales_on(lane.size, (width, height))
        if not any(lane.is_shrunk for lane in running):
            return None
        for lane in self._lanes:
            lane.is_shrunk |= lane.size == (width, height)
        known = self._shrinks
        return known if known is not None and known.size == (width, height) else Scaler(width, height)

    def _shrunk(self, picture: Picture) -> Picture:
        if self._shrinks is None or picture.frame is None:
            return picture
        try:
            frame = self._shrinks.scale(picture.frame, picture.sample_aspect)
        except av.error.FFmpegError:  # each rung tries by itself, and says what is wrong
            return picture
        return picture._replace(frame=frame, sample_aspect=(1, 1))

    def gap(self, gap: Gap) -> None:
        """A segment without media in the source."""
        for lane in self._lanes:
            lane.pass_on(gap)

    def finish(self) -> None:
        """The open segment ends here: no frame follows for now."""
        for lane in self._lanes:
            lane.finish()


class _Lane:
    """One rung."""

    def __init__(self, rung: RungWorker, control: RungControl) -> None:
        self.name = rung.rung.name
        self.size = rung.rung.width, rung.rung.height
        self.is_shrunk = False  # given the picture of the largest rung, not the source's
        self.mode = RungMode.RUNNING
        self._rung = rung
        self._control = control
        self._msn = 0
        self._index = 0  # of the frame in its segment

    def is_to_run(self, msn: int) -> bool:
        """Whether it runs in this segment, as far as is known before its first picture."""
        return self._rung.began(msn) or self._control.mode_of(self.name) is not RungMode.PAUSED

    def wanted(self) -> Wanted:
        return Wanted(self.name, self.size, self._rung.on_card)

    def start(self, msn: int, mode: RungMode) -> None:
        # Of a segment that was begun with pictures the log has half already.
        self.mode = RungMode.RUNNING if self._rung.began(msn) else mode
        self._control.apply(self.name, self.mode)
        self._msn, self._index = msn, 0

    def wants(self, picture: Picture) -> bool:
        """Whether the rung may look at what the frame shows. After a take-over the log has the first ones."""
        return self.mode is not RungMode.PAUSED and not self._rung.has(self._msn, picture.pts)

    def put(self, picture: Picture) -> None:
        self._index += 1
        if self.mode is RungMode.PAUSED:
            self._rung.put(picture._replace(frame=None))
        elif self.mode is RungMode.RUNNING:
            self._rung.put(picture)
        elif self._index % 2:
            self._rung.put(picture._replace(duration=2 * picture.duration))

    def pass_on(self, item: Missing | Gap) -> None:
        self._rung.put(item)

    def finish(self) -> None:
        self._rung.finish()
