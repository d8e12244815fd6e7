"""Frames of silence decode to silence."""

from fractions import Fraction

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from edge.protocols.codecs import aac, opus


def heard(codec: str, config: bytes, packet: bytes, samples: int) -> list[tuple[int, int, int]]:
    """Samples, channels and the loudest byte of the first one, of each decoded frame of three."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, AudioCodecContext)
    context.extradata = config
    found = []
    for number in range(3):
        given = av.Packet(packet)
        given.pts, given.time_base = number * samples, Fraction(1, 48_000)
        for frame in context.decode(given):
            loudest = max(bytes(frame.planes[0]))
            found.append((frame.samples, frame.layout.nb_channels, loudest))
    return found


@pytest.mark.parametrize(("layout", "channels"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 8)])
def test_aac(layout: int, channels: int) -> None:
    config = aac.build_config(48_000, layout)
    assert heard("aac", config, aac.parse_config(config).silence(), 1024) == [(1024, channels, 0)] * 3


def test_of_an_unknown_layout_or_coder_there_is_none() -> None:
    assert aac.parse_config(bytes([0x11, 0x80])).silence() == b"", "the frames say their layout"
    assert aac.parse_config(aac.build_config(48_000, 2, object_type=1)).silence() == b""


@pytest.mark.parametrize("channels", [1, 2])
def test_opus(channels: int) -> None:
    config = opus.parse_config(opus.config(channels))
    found = heard("libopus", config.encode(), opus.silence(channels), 960)
    assert [count for _, count, _ in found] == [channels] * 3
    assert [loudest for _, _, loudest in found] == [0] * 3
