"""Encoders of graphics hardware through PyAV: NVENC, Quick Sync, AMF.

Pictures in system memory are scaled here and given over as plain NV12: the upload then happens inside the
encoder's own call, without the interpreter's lock. Pictures that the same card has decoded and scaled are taken
where they are. Low latency, no B-frames, no look-ahead, an IDR exactly where it is asked for, the buffer of the
rate control as x264's. A driver may answer a frame or two late.
"""

from typing import NamedTuple

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from edge.transcode.engines.annexb import Repackager, same_sets
from edge.transcode.engines.base import TIME_BASE, Encoded, EngineError, RungFormat
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import GLOBAL_HEADER, NEVER

_PIXELS = "nv12"


class HardwareEncoder(NamedTuple):
    """An encoder of libavcodec and its options. `card`: the format of pictures that it takes on its card."""

    codec: str
    options: dict[str, str]
    card: str = ""


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
    card="cuda",
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


class _Origin(NamedTuple):
    """Where pictures come from: format, and on a card the pool that their memory is of."""

    pixels: str
    pool: object = None


_MEMORY = _Origin(_PIXELS)


class HardwareEngine:
    """One rung's encoder."""

    reorder_delay = 0

    def __init__(self, encoder: HardwareEncoder, form: RungFormat) -> None:
        """EngineError when the driver refuses."""
        self._encoder = encoder
        self._form = form
        self._scaler = Scaler(form.width, form.height, _PIXELS)
        self._origin = _MEMORY  # of the pictures that the context is for
        self._context: VideoCodecContext | None = self._created(_PIXELS)
        self._is_used = False  # it has taken a picture
        self._open(self._context)
        self._repackager = Repackager(bytes(self._context.extradata or b""))
        if not self.config:
            raise EngineError(f"{encoder.codec} does not show its parameter sets")

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord."""
        return self._repackager.config

    @property
    def on_card(self) -> bool:
        """Whether pictures may stay on the card."""
        return bool(self._encoder.card)

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """Takes a frame, returns what is finished. EngineError."""
        try:
            picture, origin = self._picture(frame, sample_aspect)
            done = self.drain() if origin != self._origin else []
            if self._context is None:
                self._context, self._origin = self._created(origin.pixels), origin
            picture.pict_type = PictureType.I if key else PictureType.NONE
            # Its first picture opens it: on a card it takes on the memory of that.
            packets = self._context.encode(picture)
        except av.error.FFmpegError as error:
            raise EngineError(f"{self._encoder.codec}: {error}") from error
        if not self._is_used:
            self._is_used = True
            self._compare(bytes(self._context.extradata or b""))
        return [*done, *(self._unit(packet) for packet in packets)]

    def drain(self) -> list[Encoded]:
        """What the driver still holds; the next frame opens it anew. EngineError."""
        context, self._context = self._context, None
        is_used, self._is_used = self._is_used, False
        if context is None or not is_used:
            return []
        try:
            packets = context.encode(None)
        except av.error.FFmpegError as error:
            raise EngineError(f"{self._encoder.codec}: {error}") from error
        return [self._unit(packet) for packet in packets]

    def close(self) -> None:
        """Gives the session back."""
        self._context = None

    def _picture(self, frame: VideoFrame, sample_aspect: tuple[int, int]) -> tuple[VideoFrame, _Origin]:
        """The picture as it is encoded. A driver keeps the addresses of a pool: for another one it begins anew."""
        if not self.on_card or frame.format.name != self._encoder.card:
            return self._scaler.scale(frame, sample_aspect), _MEMORY
        if (frame.width, frame.height) != self._scaler.size:
            raise EngineError(f"a picture of {frame.width}x{frame.height} on the card")
        return frame, _Origin(self._encoder.card, frame.opaque)

    def _compare(self, extradata: bytes) -> None:
        """Nothing that players have been told may change because pictures come from elsewhere."""
        found = Repackager(extradata).config
        if not found or not same_sets(found, self.config):
            raise EngineError(f"{self._encoder.codec} has other parameter sets for {self._origin.pixels} pictures")

    def _unit(self, packet: "Packet[VideoStream]") -> Encoded:
        key, data = self._repackager.unit(bytes(packet))
        return Encoded(packet.pts or 0, key, data)

    def _open(self, context: VideoCodecContext) -> None:
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise EngineError(f"{self._encoder.codec} does not open: {error}") from error

    def _created(self, pixels: str) -> VideoCodecContext:
        """Not open yet."""
        form = self._form
        try:
            context = av.CodecContext.create(self._encoder.codec, "w")
        except (av.error.FFmpegError, ValueError) as error:
            raise EngineError(f"{self._encoder.codec} does not open: {error}") from error
        if not isinstance(context, VideoCodecContext):
            raise EngineError(f"{self._encoder.codec} is not a video encoder")
        context.width, context.height, context.pix_fmt = form.width, form.height, pixels
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
        return context
