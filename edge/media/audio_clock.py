"""Exact decode times for audio: samples are counted, stamps only watched."""

from edge.protocols.fmp4 import Payload, Sample

DRIFT_S = 0.060
JUMP_S = 0.200
_DRIFT_FRAMES, _JUMP_FRAMES = 10, 3


class AudioClock:
    """Counts frames of a fixed number of samples. Resynchronises when the stamps stay more than 60 ms away:
    forward by a hole, backward by leaving frames out. Times are ticks of the sample rate."""

    def __init__(self, sample_rate: int, frame_samples: int = 1024) -> None:
        self.resyncs = 0
        self.dropped = 0
        self._rate = sample_rate
        self._frame = frame_samples
        self._next: int | None = None
        self._away = 0
        self._dropping = False

    def push(self, time: int, data: Payload) -> Sample | None:
        """The frame with its exact time; None when it is left out."""
        if self._next is None:
            self._next = time
        deviation = time - self._next
        self._watch(deviation)
        if self._dropping:
            self.dropped += 1
            return None
        sample = Sample(self._next, self._frame, 0, True, data)
        self._next += self._frame
        return sample

    def _watch(self, deviation: int) -> None:
        if abs(deviation) <= DRIFT_S * self._rate:
            self._away = 0
            self._dropping = self._dropping and deviation < -self._frame
            return
        self._away += 1
        patience = _JUMP_FRAMES if abs(deviation) > JUMP_S * self._rate else _DRIFT_FRAMES
        if self._away < patience:
            return
        if deviation > 0 and self._next is not None:
            self._next += deviation
            self.resyncs += 1
            self._away = 0
        elif not self._dropping:
            self._dropping = True
            self.resyncs += 1
