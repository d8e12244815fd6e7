"""NVIDIA's decoders (NVDEC) by way of libavcodec's cuvid decoders, which scale while they decode.

Without a device context of ours a cuvid decoder gives pictures in system memory, and copies them there inside its
own call, without the interpreter's lock; PyAV's own copy would hold it.
"""

from functools import cache

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext

from edge.transcode.decoders.base import Card
from edge.transcode.forms import VideoForm

DECODERS = {
    "h264": "h264_cuvid",
    "hevc": "hevc_cuvid",
    "libdav1d": "av1_cuvid",
    "vp9": "vp9_cuvid",
    "vp8": "vp8_cuvid",
}
_ACCEL = HWAccel("cuda", allow_software_fallback=False, is_hw_owned=True)


@cache
def _device() -> av.CodecContext:
    """Never opened or given back: the card's context lives while somebody has it, and takes long to make."""
    return av.CodecContext.create(DECODERS["h264"], "r", hwaccel=_ACCEL)


def _open(form: VideoForm, size: tuple[int, int], on_card: bool) -> VideoCodecContext:
    name = DECODERS[form.decoder]
    if on_card:
        _device()
    context = av.CodecContext.create(name, "r", hwaccel=_ACCEL if on_card else None)
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{name} is not a video decoder")
    if form.extradata:
        context.extradata = form.extradata
    context.thread_count = 1
    context.flags |= Flags.low_delay  # without it four pictures are held back
    context.options = {"resize": f"{size[0]}x{size[1]}"}
    context.open()
    return context


NVDEC = Card("nvdec", DECODERS.keys(), "cuda", "nv12", _open)
