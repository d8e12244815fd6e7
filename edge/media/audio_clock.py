"""Exact decode times for audio: samples are counted, stamps only watched."""

from typing import Final

from edge.protocols.fmp4 import Payload, Sample

DRIFT_S: Final = 0.060
JUMP_S: Final = 0.200
STOOD_S: Final = 2  # left out in a row, and the encoder's clock has stood still
_DRIFT_FRAMES: Final = 10
_JUMP_FRAMES: Final = 3


class AudioClock:
    """Counts samples.

    Resynchronises when the stamps stay more than 60 ms away: forward by a hole, backward by leaving frames
    out, for two seconds at most. Stamps that stood for so long are not asked while they stand.

    Times are ticks of `timescale`, by custom the sample rate.
    """

    def __init__(
        self, timescale: int, sample_rate: int = 0, frame_samples: int = 1024, *, start: int | None = None
    ) -> None:
        """`sample_rate` 0: as `timescale`. Another rate keeps the track's clock when audio changes.

        `start`: the exact time of the first frame, if its stamp says nearly that.
        """
        self._start = start
        self.resyncs = 0
        self.dropped = 0
        self._timescale = timescale
        self._near = DRIFT_S * timescale
        self._rate = sample_rate or timescale
        self._frame_samples = frame_samples
        self._anchor: int | None = None
        self._samples = 0
        self._due = 0  # where the next frame begins
        self._away = 0
        self._dropping = False
        self._left_out = 0  # ticks in a row
        self._shift = 0  # added to stamps
        self._stamp = self._stood = 0  # the last stamp, and for how many ticks of sound it was the same

    @property
    def due(self) -> int | None:
        """Where the next frame begins; None before the first."""
        return self._due if self._anchor is not None else None

    def begin(self, at: int) -> None:
        """The first frame begins at `at`, whatever its stamp says. For one whose sound did not come yet."""
        if self._anchor is None:
            self._anchor = self._due = at

    def go_on(self, at: int) -> None:
        """Stamps mean other times from the next frame on, which is at `at`, or where it is due if that is later."""
        self._hold_back(max(0, at - self._due))
        self._dropping, self._away, self._left_out, self._shift = False, 0, 0, 0

    def move(self, ticks: int) -> None:
        """Frames from the next one on are so much later than the counted samples say, or earlier."""
        self._hold_back(ticks)

    def fill(self, frames: int, data: Payload) -> list[Sample]:
        """Frames that did not come, all of them `data`. Those that come for their time after all are left out."""
        out = []
        for _ in range(frames if self._anchor is not None else 0):
            dts = self._due
            self._step(self._frame_samples)
            out.append(Sample(dts, self._due - dts, 0, True, data))
        return out

    def _hold_back(self, ticks: int) -> None:
        """A hole before the next frame."""
        if self._anchor is not None:
            self._anchor += ticks
            self._due += ticks

    def _step(self, samples: int) -> None:
        self._samples += samples
        self._due = (self._anchor or 0) + self._samples * self._timescale // self._rate  # exact, however many

    def push(self, time: int, data: Payload, samples: int = 0) -> Sample | None:
        """The frame with its exact time; None when it is left out. `samples` 0: as many as usual."""
        if self._anchor is None:
            near = self._start is not None and abs(time - self._start) * 100 <= self._timescale
            self._due = self._anchor = self._start if near and self._start is not None else time
        dts = self._due
        if self._shift or self._dropping:
            self._watch_standing(time, samples)
        time += self._shift
        if self._away or self._dropping or not -self._near <= time - dts <= self._near:
            if self._shift and abs(time - self._shift - dts) <= self._near:
                time, self._shift = time - self._shift, 0  # it says the right time again
            self._watch(time - dts)
            if self._dropping:
                self.dropped += 1
                self._left_out += (samples or self._frame_samples) * self._timescale // self._rate
                if self._left_out <= STOOD_S * self._timescale:
                    return None
                if self._has_stood:  # what was left out had its time
                    self._hold_back(self._left_out)
                self._shift += self._due - time
                self._dropping, self._away = False, 0
            self._left_out = 0
            dts = self._due
        self._step(samples or self._frame_samples)
        return Sample(dts, self._due - dts, 0, True, data)

    def _watch_standing(self, stamp: int, samples: int) -> None:
        step = (samples or self._frame_samples) * self._timescale // self._rate
        self._stood = self._stood + step if stamp == self._stamp else 0
        self._stamp = stamp
        if self._shift and self._has_stood:
            self._shift += step

    @property
    def _has_stood(self) -> bool:
        """For about as long as frames are left out; counting begins some frames later."""
        return 4 * self._stood >= 3 * STOOD_S * self._timescale

    def _watch(self, deviation: int) -> None:
        if abs(deviation) <= self._near:
            self._away = 0
            self._dropping = self._dropping and deviation < -self._timescale // 50
            return
        self._away += 1
        patience = _JUMP_FRAMES if abs(deviation) > JUMP_S * self._timescale else _DRIFT_FRAMES
        if self._away < patience:
            return
        if deviation > 0:
            self._hold_back(deviation)
            self.resyncs += 1
            self._away = 0
            self._dropping = False
        elif not self._dropping:
            self._dropping = True
            self.resyncs += 1
