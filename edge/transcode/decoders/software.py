"""Decodes in software: one picture, which every rung scales."""

import av
from av.video.codeccontext import VideoCodecContext

from edge.transcode.decoders.base import Decoded, VideoPacket
from edge.transcode.forms import VideoForm


def software_context(form: VideoForm) -> VideoCodecContext:
    """A decoder of libavcodec with one thread: each further one would cost a frame of delay."""
    context = av.CodecContext.create(form.decoder, "r")
    if not isinstance(context, VideoCodecContext):
        raise TypeError(f"{form.decoder} is not a video decoder")
    if form.extradata:
        context.extradata = form.extradata
    context.thread_count = 1
    return context


class SoftwareDecoder:
    """One source's."""

    def __init__(self, form: VideoForm) -> None:
        self._context = software_context(form)

    def decode(self, packet: "VideoPacket | None") -> list[Decoded]:
        """As `Decoder`."""
        return [Decoded(frame) for frame in self._context.decode(packet)]
