"""Frames of silence decode to silence."""

from array import array
from fractions import Fraction

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from edge.protocols.codecs import aac, ac3, ac3_silence, opus


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


def decoded_strictly(codec: str, packet: bytes) -> list[tuple[int, int, int, float]]:
    """Rate, channels, samples and the loudest sample of each decoded frame; an error where anything is wrong."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, AudioCodecContext)
    context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    return [
        (
            frame.sample_rate,
            frame.layout.nb_channels,
            frame.samples,
            max(abs(one) for plane in frame.planes for one in array("f", bytes(plane)[: 4 * frame.samples])),
        )
        for _ in range(3)
        for frame in context.decode(av.Packet(packet))
    ]


def ac3_form(layout: int, low: bool, rate_code: int, code: int) -> ac3.Ac3Config:
    box = (rate_code << 22 | 8 << 17 | layout << 11 | low << 10 | code << 5).to_bytes(3, "big")
    return ac3.read_specific_box(box, enhanced=False)


@pytest.mark.parametrize("code", [4, 10, 18])
@pytest.mark.parametrize("rate_code", [0, 1, 2])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("layout", range(8))
def test_ac3(layout: int, low: bool, rate_code: int, code: int) -> None:
    form = ac3_form(layout, low, rate_code, code)
    frame = ac3_silence.silence(form)
    assert ac3.parse_frame(frame) == form
    assert decoded_strictly("ac3", frame) == [(form.sample_rate, form.channels, 1536, 0.0)] * 3
    assert ac3.read_specific_box(form.specific_box(), enhanced=False) == form


def enhanced_form(layout: int, low: bool, blocks: int, *, size: int = 768, kind: int = 0) -> ac3.Ac3Config:
    head = 0x0B77 << 16 | kind << 14 | size // 2 - 1
    head = head << 4 | (1, 2, 3, 6).index(blocks)
    head = head << 9 | layout << 6 | low << 5 | 16
    return ac3.parse_frame((head << 19).to_bytes(8, "big") + bytes(8))


@pytest.mark.parametrize("blocks", [1, 2, 3, 6])
@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("layout", range(8))
def test_enhanced_ac3(layout: int, low: bool, blocks: int) -> None:
    form = enhanced_form(layout, low, blocks)
    frame = ac3_silence.silence(form)
    assert (form.size, form.bsid, form.samples) == (768, 16, 256 * blocks)
    assert ac3.parse_frame(frame) == form
    assert decoded_strictly("eac3", frame)[-1] == (48_000, form.channels, 256 * blocks, 0.0)


def test_damage_is_found_so_the_checks_of_ac3_are_right() -> None:
    frame = bytearray(ac3_silence.silence(ac3_form(7, True, 0, 10)))
    for at in (300, 700):
        harmed = bytes([*frame[:at], frame[at] ^ 1, *frame[at + 1 :]])
        with pytest.raises(av.error.FFmpegError):
            decoded_strictly("ac3", harmed)


def test_where_a_frame_is_too_small_or_one_of_several_there_is_none() -> None:
    assert ac3_silence.silence(enhanced_form(7, True, 6, size=32)) == b""
    assert ac3_silence.silence(enhanced_form(7, True, 6, kind=1)) == b""
