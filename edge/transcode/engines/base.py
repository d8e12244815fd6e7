"""What an engine is: decoded frames in, access units out."""

from fractions import Fraction
from typing import NamedTuple, Protocol

from av.video.frame import VideoFrame

from appliance.contracts.errors import UnavailableError

TIME_BASE = Fraction(1, 90_000)
_FALLBACK_RATE = Fraction(30)


class EngineError(UnavailableError):
    """An engine cannot be opened, has died, hangs or broke a promise: the rung goes on with the next one."""

    code = "encoder_engine"


class Encoded(NamedTuple):
    """An access unit. `pts` in 90 kHz ticks, `data` length-prefixed NAL units without parameter sets."""

    pts: int
    key: bool
    data: bytes


class RungFormat(NamedTuple):
    """What a rung encodes to. `bit_rate` in bit/s; `frame_rate` (0, 1) when unknown; `preset` is x264's."""

    width: int
    height: int
    bit_rate: int
    frame_rate: tuple[int, int]
    preset: str

    @property
    def rate(self) -> Fraction:
        """Frames per second for the rate control."""
        numerator, denominator = self.frame_rate
        return Fraction(numerator, denominator) if numerator > 0 else _FALLBACK_RATE


class Engine(Protocol):
    """One rung's encoder, used by one thread at a time. After an EngineError only `close` may be called."""

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord, known from the beginning and the same until the end."""
        ...

    @property
    def reorder_delay(self) -> int:
        """0: access units come in the order of their frames, and a stretch from any IDR on may be left out.

        Otherwise they come in decoding order, the decode time of frame n of a GOP is the presentation time of its
        n-th frame less so many ticks, and a GOP has to be encoded from its key frame: it is the same whoever does.
        """
        ...

    @property
    def on_card(self) -> bool:
        """Whether it takes pictures of its rung's size on a graphics card too; others have to be copied before."""
        ...

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        """Takes a frame as it came from the decoder; `key` demands an IDR here.

        Returns the access units that are finished: of this frame, of earlier ones, or none yet. EngineError.
        """
        ...

    def drain(self) -> list[Encoded]:
        """Every access unit that is still to come. The frame after it must demand an IDR. EngineError."""
        ...

    def close(self) -> None:
        """Gives everything back, whatever state it is in. May be called twice."""
        ...
