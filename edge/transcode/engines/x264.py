"""x264 through PyAV, configured so that any worker can take over at any key frame.

Zero latency, no B-frames, a key frame exactly where it is asked for and nowhere else, length-prefixed output
(avcC), parameter sets only in the initialisation segment. Deterministic: the same rung has the same parameter
sets, whoever encodes it.
"""

import av
import av.error
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from edge.transcode.engines.base import TIME_BASE, Encoded, EngineError, RungFormat
from edge.transcode.engines.scaler import Scaler

GLOBAL_HEADER = 1 << 22
NEVER = 100_000  # frames between key frames that nobody asked for
_OPTIONS = {
    "tune": "zerolatency",
    "profile": "high",
    "x264-params": "annexb=0:scenecut=0:vbv-init=0.5",
}


class X264:
    """One rung's encoder."""

    reorder_delay = 0
    on_card = False

    def __init__(self, form: RungFormat) -> None:
        """EngineError when this build or this format cannot be encoded."""
        self._context = open_x264(form, {"preset": form.preset, **_OPTIONS})
        self._scaler = Scaler(form.width, form.height)

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord."""
        return bytes(self._context.extradata or b"")

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """The access unit of this frame. EngineError."""
        try:
            scaled = self._scaler.scale(frame, sample_aspect)
            scaled.pict_type = PictureType.I if key else PictureType.NONE
            packets = self._context.encode(scaled)
        except av.error.FFmpegError as error:
            raise EngineError(f"x264: {error}") from error
        return [Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in packets]

    def drain(self) -> list[Encoded]:
        """Nothing: under zero latency each frame is answered at once."""
        return []

    def close(self) -> None:
        """Nothing to give back that the object does not take along."""


def open_x264(form: RungFormat, options: dict[str, str]) -> VideoCodecContext:
    """An encoder with one thread and these options besides its size and rate. EngineError when there is none."""
    try:
        return _open(form, options)
    except (av.error.FFmpegError, ValueError) as error:
        raise EngineError(f"x264 does not open: {error}") from error


def _open(form: RungFormat, options: dict[str, str]) -> VideoCodecContext:
    context = av.CodecContext.create("libx264", "w")
    if not isinstance(context, VideoCodecContext):
        raise TypeError("libx264 is not a video encoder")
    context.width, context.height, context.pix_fmt = form.width, form.height, "yuv420p"
    context.time_base, context.framerate = TIME_BASE, form.rate
    context.bit_rate = form.bit_rate
    context.gop_size = NEVER
    context.thread_count = 1
    context.flags |= GLOBAL_HEADER
    kilobits = form.bit_rate // 1000
    context.options = {
        "forced-idr": "1",
        "sc_threshold": "0",
        "maxrate": f"{kilobits}k",
        "bufsize": f"{kilobits}k",
        **options,
    }
    context.open()
    return context
