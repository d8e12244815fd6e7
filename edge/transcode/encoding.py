"""Which access unit is of which frame: what a rung's engine still owes, and who encodes it when that one fails.

An engine may answer later than it is asked. An access unit is taken only for the frame that is next, with an IDR
where one was demanded: so no frame is lost or doubled without being noticed.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import av.error
from av.video.frame import VideoFrame

from edge.transcode.chunks import Boundary
from edge.transcode.engines.annexb import same_sets
from edge.transcode.engines.base import Encoded, EngineError
from edge.transcode.engines.lineup import Lineup
from edge.transcode.engines.scaler import in_memory

_MOST_OWED, _MOST_REORDERED = 16, 64  # frames; an engine that holds more is taken for broken


class Picture(NamedTuple):
    """A decoded frame on its way to the rungs. Times in 90 kHz ticks; `boundary` when it starts a segment.

    `frame` is None for a rung that is not to encode it: paused. The others go on with its times.
    Frame rate, (0, 1) unknown, and sample aspect are the source's of now: they may change in mid-stream.
    `scaled` where each rung has a frame of its own, of its size: those of the rungs that want any.
    """

    frame: VideoFrame | None
    pts: int
    duration: int
    pdt_us: int
    late_us: int
    boundary: Boundary | None
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)
    scaled: Mapping[str, VideoFrame] | None = None

    def is_for(self, rung: str) -> bool:
        """Whether this rung can be given the frame."""
        return self.frame is not None and (self.scaled is None or rung in self.scaled)

    def of(self, rung: str) -> "Picture":
        """The picture with this rung's frame."""
        if self.scaled is None:
            return self
        return self._replace(frame=self.scaled.get(rung), sample_aspect=(1, 1), scaled=None)


class Owed(NamedTuple):
    """A frame given to an engine. `key` when it demands an IDR."""

    picture: Picture
    key: bool


class Done(NamedTuple):
    """The answer for a frame; `unit` is None when it is lost to a change of the decoder configuration.

    Where the engine reorders, `unit` is the next one to decode, of a frame near this one.
    """

    picture: Picture
    unit: Encoded | None


class RungEncoder:
    """Used by one thread, except that `close` may be called by who made it before it is used."""

    def __init__(self, lineup: Lineup, changed: Callable[[bytes], None]) -> None:
        """Opens an engine, which blocks; EngineError when none opens.

        `changed` is called with the decoder configuration when another engine with other parameter sets goes on.
        """
        self._lineup = lineup
        self._changed = changed
        self._engine = lineup.open()
        self.config = self._engine.config
        self._owed: deque[Owed] = deque()
        self._is_cut = False  # a picture was lost: the next one has to do without it
        self._unanswered: set[int] = set()  # pts of frames whose access unit is to come, where they are reordered

    @property
    def on_card(self) -> bool:
        """Whether the engine at work takes pictures on a card. From any thread."""
        return self._engine.on_card

    @property
    def reorder_delay(self) -> int:
        """That of the engine at work."""
        return self._engine.reorder_delay

    def encode(self, picture: Picture, key: bool) -> list[Done]:
        """Frames that are finished, in order: this one, earlier ones or none. EngineError: no engine is left."""
        readable = self._readable(picture)
        if readable is None:
            self._is_cut = True
            return [*self.drain(), Done(picture, None)]
        picture, key, self._is_cut = readable, key or self._is_cut, False
        self._owed.append(Owed(picture, key))
        if self.reorder_delay:
            self._unanswered.add(picture.pts)
        done: list[Done] = []
        try:
            self._take(self._encode(picture, key), done)
        except EngineError as error:
            self._go_on(error, done)
        return done

    def drain(self) -> list[Done]:
        """Every frame that is still owed. The next one must demand an IDR. EngineError when no engine is left."""
        done: list[Done] = []
        while self._owed:
            try:
                self._take(self._rest(), done)
            except EngineError as error:
                self._go_on(error, done)
        return done

    def close(self) -> None:
        """Ends the engine."""
        self._lineup.close()

    def _readable(self, picture: Picture) -> Picture | None:
        """The picture as the engine at work takes it; None for one on a card that no longer gives it out."""
        if picture.frame is None or self.on_card:
            return picture
        try:
            frame = in_memory(picture.frame)
        except av.error.FFmpegError:
            return None
        return picture if frame is picture.frame else picture._replace(frame=frame)

    def _encode(self, picture: Picture, key: bool) -> list[Encoded]:
        if picture.frame is None:
            raise EngineError("a frame without a picture cannot be encoded")
        units = self._engine.encode(picture.frame, key, picture.sample_aspect)
        if len(self._owed) - len(units) > (_MOST_REORDERED if self.reorder_delay else _MOST_OWED):
            raise EngineError(f"no access unit for {len(self._owed)} frames")
        return units

    def _rest(self) -> list[Encoded]:
        units = self._engine.drain()
        if len(units) < len(self._owed):
            raise EngineError(f"{len(self._owed) - len(units)} frames without an access unit")
        return units

    def _take(self, units: list[Encoded], done: list[Done]) -> None:
        for unit in units:
            picture, key = self._owed[0] if self._owed else (None, False)
            if picture is None or not self._answers(unit, picture):
                raise EngineError(f"an access unit of pts {unit.pts} that no frame waits for")
            if key and not unit.key:
                raise EngineError("no IDR where one was demanded")
            self._owed.popleft()
            done.append(Done(picture, unit))

    def _answers(self, unit: Encoded, picture: Picture) -> bool:
        """Whether it is that of the next frame, or where frames are reordered that of any that waits for one."""
        if not self.reorder_delay:
            return unit.pts == picture.pts
        if unit.pts not in self._unanswered:
            return False
        self._unanswered.remove(unit.pts)
        return True

    def _forget_unreadable(self, done: list[Done]) -> None:
        """The first ones owed, as far as the engine that goes on cannot be given them."""
        owed = [(one, self._readable(one.picture)) for one in self._owed]
        last = max((index for index, (_, readable) in enumerate(owed, 1) if readable is None), default=0)
        done.extend(Done(one.picture, None) for one, _ in owed[:last])
        self._owed = deque(Owed(readable, one.key) for one, readable in owed[last:] if readable is not None)
        self._is_cut = self._is_cut or (last > 0 and not self._owed)

    def _go_on(self, error: EngineError, done: list[Done]) -> None:
        """The next engine encodes what is owed, from an IDR on, if its parameter sets are those of before."""
        while True:
            self._engine = self._lineup.replace(error)
            self._unanswered.clear()
            self._forget_unreadable(done)
            if not same_sets(self._engine.config, self.config):
                self.config = self._engine.config
                self._changed(self.config)
                done.extend(Done(owed.picture, None) for owed in self._owed)
                self._owed.clear()
                return
            try:
                for index, owed in enumerate(tuple(self._owed)):
                    self._take(self._encode(owed.picture, owed.key or index == 0), done)
            except EngineError as another:
                error = another
                continue
            return
