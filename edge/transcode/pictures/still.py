"""One decoded frame as JPEG and WebP of several sizes."""

from fractions import Fraction
from typing import NamedTuple

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from appliance.contracts.pictures import PREVIEW_SIZES
from edge.transcode.engines.base import TIME_BASE

_JPEG_QUANTISER = 5  # of 2 (best) to 31
_WEBP_OPTIONS = {"quality": "70", "compression_level": "0"}  # higher levels cost two to six times as much
_MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}
_HD_LINES = 720  # from here on pictures that do not say so are taken for BT.709, as browsers do


class Still(NamedTuple):
    """A frame and the shape of its samples. `pts` in 90 kHz ticks; `at_ms` when it was taken, Unix milliseconds."""

    frame: VideoFrame
    sample_aspect: tuple[int, int]
    pts: int
    at_ms: int


def fitted(width: int, height: int, sample_aspect: tuple[int, int], box: int) -> tuple[int, int]:
    """Size in square samples whose longest side is at most `box`, of the picture's shape, not larger than it.

    Even, at least 2 by 2.
    """
    across, down = sample_aspect if min(sample_aspect) > 0 else (1, 1)
    wide, high = Fraction(width * across, down), Fraction(height)
    scale = min(Fraction(1), Fraction(box) / max(wide, high))
    return max(2, 2 * round(wide * scale / 2)), max(2, 2 * round(high * scale / 2))


def scaled(still: Still, boxes: tuple[int, ...]) -> dict[int, VideoFrame]:
    """The picture for each box, in BT.601 limited range, which JPEG (JFIF) and WebP files are taken to be.

    The largest is made of the frame, each smaller one of the one before it.
    """
    found: dict[int, VideoFrame] = {}
    frame = still.frame
    matrix, full = _matrix(frame), frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    for box in sorted(boxes, reverse=True):
        width, height = fitted(still.frame.width, still.frame.height, still.sample_aspect, box)
        frame = found[box] = VideoReformatter().reformat(
            frame,
            width,
            height,
            "yuv420p",
            src_colorspace=matrix,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        matrix, full = Colorspace.ITU601, False
    return found


def _matrix(frame: VideoFrame) -> Colorspace:
    known = _MATRICES.get(int(frame.colorspace))
    if known is not None:
        return known
    return Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601


def previews(still: Still) -> dict[tuple[int, str], bytes]:
    """Files by size and format. av.error.FFmpegError for a frame that cannot be scaled."""
    files: dict[tuple[int, str], bytes] = {}
    made: dict[tuple[int, int], tuple[bytes, bytes]] = {}  # boxes beyond the picture's size hold the same
    for box, frame in scaled(still, PREVIEW_SIZES).items():
        size = frame.width, frame.height
        if size not in made:
            made[size] = jpeg(frame), webp(frame)
        files[box, "jpg"], files[box, "webp"] = made[size]
    return files


def jpeg(frame: VideoFrame) -> bytes:
    """A JPEG file of a frame in BT.601 limited range."""
    full = VideoReformatter().reformat(
        frame,
        format="yuvj420p",
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    context = _encoder("mjpeg", full)
    context.qmin = context.qmax = _JPEG_QUANTISER
    return _encode(context, full)


def webp(frame: VideoFrame) -> bytes:
    """A WebP file of a frame in BT.601 limited range."""
    context = _encoder("libwebp", frame)
    context.options = _WEBP_OPTIONS
    return _encode(context, frame)


def _encoder(name: str, frame: VideoFrame) -> VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{name} is not a video encoder")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base, context.framerate = TIME_BASE, Fraction(1)
    context.thread_count = 1
    return context


def _encode(context: VideoCodecContext, frame: VideoFrame) -> bytes:
    """The frame may be the decoder's own: in its own time base it is left as it is."""
    packets = context.encode(frame) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)
