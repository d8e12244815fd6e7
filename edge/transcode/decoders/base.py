"""What a decoder is: packets in, decoded pictures out."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol, TypeAlias, cast

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from appliance.contracts.errors import UnavailableError
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.forms import VideoForm

VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic only in its stubs


def video_packet(data: bytes, pts: int, dts: int, *, key: bool) -> VideoPacket:
    """An access unit for a decoder. Times in 90 kHz ticks."""
    packet = cast("VideoPacket", Packet(data))
    packet.pts, packet.dts, packet.time_base = pts, dts, TIME_BASE
    packet.is_keyframe = key
    return packet


class CardError(UnavailableError):
    """A card does not decode this source, or no longer."""

    code = "decoder_card"


class Decoded(NamedTuple):
    """One picture. `scaled`: the frame of each rung, of its size; None: each scales `frame`, the source's picture.

    `frame` is the largest of the scaled ones otherwise.
    """

    frame: VideoFrame
    scaled: Mapping[str, VideoFrame] | None = None


class Wanted(NamedTuple):
    """The size of a rung that wants pictures, and whether its encoder takes them on the card."""

    rung: str
    size: tuple[int, int]
    on_card: bool


class Decoder(Protocol):
    """Used by one thread."""

    def decode(self, packet: "VideoPacket | None") -> list[Decoded]:
        """The pictures that are finished, in the order of their times; with None all that are still held.

        av.error.FFmpegError: nothing comes of this packet. CardError: nothing comes of any.
        """
        ...


class Session(Protocol):
    """The decoder of one rung: a codec context of libavcodec."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        """av.error.InvalidDataError: nothing comes of this packet; any other av.error.FFmpegError: of none."""
        ...


class Card(NamedTuple):
    """A graphics card that decodes and scales.

    `codecs` are names of `VideoForm.decoder`. `pixels` is the format of its pictures while they are on the card,
    `memory` the one that they have there, and in system memory. `open` makes a session whose pictures have this
    size and are on the card, or in system memory; av.error.FFmpegError.
    """

    name: str
    codecs: Collection[str]
    pixels: str
    memory: str
    open: Callable[[VideoForm, tuple[int, int], bool], Session]
