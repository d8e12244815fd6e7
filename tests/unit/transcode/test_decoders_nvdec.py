"""What can be known of NVIDIA's decoders without a card: names, options, and how they refuse."""

import av
import av.error
import pytest
from av.codec.hwaccel import HWDeviceType

from edge.transcode.decoders.base import Wanted, video_packet
from edge.transcode.decoders.decoding import Decoding
from edge.transcode.decoders.nvdec import DECODERS, NVDEC
from edge.transcode.engines import catalogue
from edge.transcode.engines.hardware import NVENC
from edge.transcode.engines.scaler import in_memory
from edge.transcode.forms import VideoForm
from tests.unit.transcode.encoded_sources import grey, picture_source

FORM = VideoForm("h264", b"", (30, 1), (1, 1), (320, 180))


@pytest.fixture
def no_card() -> None:
    if not catalogue.no_zero_copy():
        pytest.skip("this machine has an NVIDIA device")


@pytest.mark.parametrize("name", DECODERS.values())
def test_every_decoder_is_in_the_library_scales_and_leaves_pictures_on_the_card(name: str) -> None:
    options = {option.name for option in av.CodecContext.create(name, "r").supported_options.private}
    assert "resize" in options
    [config] = av.Codec(name, "r").hardware_configs
    assert (config.device_type, config.format.name, config.is_supported) == (HWDeviceType.cuda, "cuda", True)


def test_the_encoder_takes_what_the_decoder_gives() -> None:
    assert NVENC.card == NVDEC.pixels
    context = av.CodecContext.create(NVENC.codec, "w")
    context.pix_fmt = NVENC.card
    assert context.pix_fmt == "cuda"


@pytest.mark.usefixtures("no_card")
@pytest.mark.parametrize("on_card", [True, False])
def test_a_machine_without_a_card_refuses(on_card: bool) -> None:
    with pytest.raises(av.error.FFmpegError):
        NVDEC.open(FORM, (160, 90), on_card)


@pytest.mark.usefixtures("no_card")
def test_software_decodes_from_the_first_picture_on_where_the_card_refuses() -> None:
    source = picture_source("libx264", 3, 3)
    decoding = Decoding(NVDEC)
    decoding.open(source.form, [Wanted("90p", (160, 90), True)])
    assert decoding.is_on_card
    packets = [video_packet(bytes(one.data), one.pts, one.dts, key=one.key) for one in source.samples]
    shown = [picture.frame.width for packet in packets for picture in decoding.decode(packet)]
    assert shown == [320] * 3
    assert not decoding.is_on_card


def test_pictures_in_system_memory_are_not_copied() -> None:
    frame = grey((64, 36), 100, 0)
    assert in_memory(frame) is frame
