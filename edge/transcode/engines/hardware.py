"""Encoders of graphics hardware through PyAV: NVENC, Quick Sync, AMF.

Pictures are decoded and scaled here and given over as plain NV12: the upload then happens inside the encoder's
own call, without the interpreter's lock. Low latency, no B-frames, no look-ahead, an IDR exactly where it is asked
for, the buffer of the rate control as x264's. A driver may answer a frame or two late.
"""

from typing import NamedTuple

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from edge.transcode.engines.annexb import Repackager
from edge.transcode.engines.base import TIME_BASE, Encoded, EngineError, RungFormat
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import GLOBAL_HEADER, NEVER

_PIXELS = "nv12"


class HardwareEncoder(NamedTuple):
    """An encoder of libavcodec and its options."""

    codec: str
    options: dict[str, str]


NVENC = HardwareEncoder(
    "h264_nvenc",
    {
        "preset": "p4",
        "tune": "ull",
        "profile": "high",
        "rc": "cbr",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "no-scenecut": "1",
        "strict_gop": "1",
        "rc-lookahead": "0",
        "a53cc": "0",
    },
)
QSV = HardwareEncoder(
    "h264_qsv",
    {
        "preset": "veryfast",
        "profile": "high",
        "async_depth": "1",
        "forced_idr": "1",
        "look_ahead": "0",
        "low_delay_brc": "1",
        "idr_interval": "0",
        "a53cc": "0",
    },
)
AMF = HardwareEncoder(
    "h264_amf",
    {
        "usage": "ultralowlatency",
        "quality": "speed",
        "profile": "high",
        "rc": "cbr",
        "forced_idr": "1",
        "max_b_frames": "0",
    },
)


class HardwareEngine:
    """One rung's encoder."""

    reorder_delay = 0

    def __init__(self, encoder: HardwareEncoder, form: RungFormat) -> None:
        """EngineError when the driver refuses."""
        self._encoder = encoder
        self._form = form
        self._scaler = Scaler(form.width, form.height, _PIXELS)
        self._context: VideoCodecContext | None = self._open()
        self._repackager = Repackager(bytes(self._context.extradata or b""))
        if not self.config:
            raise EngineError(f"{encoder.codec} does not show its parameter sets")

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord."""
        return self._repackager.config

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """Takes a frame, returns what is finished. EngineError."""
        if self._context is None:
            self._context = self._open()
        try:
            scaled = self._scaler.scale(frame, sample_aspect)
            scaled.pict_type = PictureType.I if key else PictureType.NONE
            packets = self._context.encode(scaled)
        except av.error.FFmpegError as error:
            raise EngineError(f"{self._encoder.codec}: {error}") from error
        return [self._unit(packet) for packet in packets]

    def drain(self) -> list[Encoded]:
        """What the driver still holds; the next frame opens it anew. EngineError."""
        if self._context is None:
            return []
        try:
            packets = self._context.encode(None)
        except av.error.FFmpegError as error:
            raise EngineError(f"{self._encoder.codec}: {error}") from error
        self._context = None
        return [self._unit(packet) for packet in packets]

    def close(self) -> None:
        """Gives the session back."""
        self._context = None

    def _unit(self, packet: "Packet[VideoStream]") -> Encoded:
        key, data = self._repackager.unit(bytes(packet))
        return Encoded(packet.pts or 0, key, data)

    def _open(self) -> VideoCodecContext:
        form = self._form
        try:
            context = av.CodecContext.create(self._encoder.codec, "w")
            if not isinstance(context, VideoCodecContext):
                raise EngineError(f"{self._encoder.codec} is not a video encoder")
            context.width, context.height, context.pix_fmt = form.width, form.height, _PIXELS
            context.time_base, context.framerate = TIME_BASE, form.rate
            context.bit_rate = form.bit_rate
            context.gop_size = NEVER
            context.max_b_frames = 0
            context.thread_count = 1
            context.flags |= GLOBAL_HEADER
            buffered = form.bit_rate // 1000 * 1000
            context.options = {
                **self._encoder.options,
                "maxrate": str(buffered),
                "bufsize": str(buffered),
                "rc_init_occupancy": str(buffered // 2),
            }
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise EngineError(f"{self._encoder.codec} does not open: {error}") from error
        return context
