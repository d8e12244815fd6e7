"""x264 with B-frames and look-ahead: a far better picture at the same rate, about 0.75 s later.

Its access units come in decoding order, so a log that ends within a GOP holds no clean run of frames. Each GOP is
therefore encoded by an encoder of its own that begins at the key frame: whoever does it gets the same bytes, and a
take-over encodes the open GOP again and leaves out what is published. With `vbv-init` that costs no bit rate.
"""

import av.error
from av.video.frame import PictureType, VideoFrame

from edge.transcode.engines.base import TIME_BASE, Encoded, EngineError, RungFormat
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import open_x264

_LEAST_DELAY = TIME_BASE.denominator // 10
_MOST_DELAY = TIME_BASE.denominator // 2  # media times begin at 1 s
_DELAY_FRAMES = 2
_OPTIONS = {
    "preset": "veryfast",
    "profile": "high",
    "bf": "2",
    # no B-frame refers to another and no GOP to the next: one frame of reordering, closed at both ends
    "x264-params": "annexb=0:scenecut=0:vbv-init=0.5:b-pyramid=none:open-gop=0:rc-lookahead=20:sliced-threads=0",
}


def delay_of(form: RungFormat) -> int:
    """From the decode to the presentation time of a key frame, in ticks: enough for frames a little irregular.

    0 when the frame rate is not known or too low: then frames may be any distance apart, and there are no B-frames.
    """
    numerator, denominator = form.frame_rate
    if numerator <= 0 or denominator <= 0:
        return 0
    frame = TIME_BASE.denominator * denominator // numerator
    delay = max(_LEAST_DELAY, _DELAY_FRAMES * frame)
    return delay if delay <= _MOST_DELAY else 0


class QualityX264:
    """One rung's encoder."""

    on_card = False

    def __init__(self, form: RungFormat) -> None:
        """EngineError when this build or this format cannot be encoded."""
        self._form = form
        self.reorder_delay = delay_of(form)
        if not self.reorder_delay:
            raise EngineError("the frame rate is not known or too low for B-frames")
        self._scaler = Scaler(form.width, form.height)
        self._open()
        self.config = bytes(self._context.extradata or b"")

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """Takes a frame, returns what is finished, the whole GOP before a key frame at the latest. EngineError."""
        try:
            done = self.drain() if key else []
            scaled = self._scaler.scale(frame, sample_aspect)
            scaled.pict_type = PictureType.NONE
            self._begun = True
            return [*done, *self._encode(scaled)]
        except av.error.FFmpegError as error:
            raise EngineError(f"x264: {error}") from error

    def drain(self) -> list[Encoded]:
        """The rest of the GOP. EngineError."""
        if not self._begun:
            return []
        try:
            done = self._encode(None)
        except av.error.FFmpegError as error:
            raise EngineError(f"x264: {error}") from error
        self._open()
        return done

    def close(self) -> None:
        """Nothing to give back that the object does not take along."""

    def _encode(self, frame: VideoFrame | None) -> list[Encoded]:
        packets = self._context.encode(frame)
        return [Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in packets]

    def _open(self) -> None:
        self._context = open_x264(self._form, _OPTIONS)
        self._begun = False
