"""Configurations and framings of HEVC, AV1, VP9, VP8, Opus, FLAC and AC-3, against what real encoders make."""

import contextlib

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import example, given
from hypothesis import strategies as st

from edge.protocols.codecs import aac, ac3, av1, avc, flac, hevc, mp3, opus, vp8, vp9, vpx
from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.hevc_sps import parse_sps
from tests.media_tools import encoded


def hevc_config() -> hevc.HevcConfig:
    return hevc.parse_config(encoded.video("hvc1", 10).extra)


def test_hevc_record_round_trip() -> None:
    config = hevc_config()
    record = config.encode()
    again = hevc.parse_config(record)
    assert again == config
    assert again.encode() == record
    assert config.rfc6381() == "hvc1.1.6.L30.90"
    assert config.picture()[:4] == (128, 96, (1, 1), (30, 1))


def test_hevc_size_is_cropped() -> None:
    assert hevc.parse_config(encoded.video("hvc1", 2, width=130, height=98).extra).picture()[:2] == (130, 98)


def test_hevc_aspect_and_colour() -> None:
    params = "x265-params=log-level=none:pools=none:frame-threads=1:sar=4\\:3:colorprim=9:transfer=16:colormatrix=9"
    picture = hevc.parse_config(encoded.video("hvc1", 2, options=params).extra).picture()
    assert picture.sample_aspect == (4, 3)
    assert picture.colour == (9, 16, 9, False)


def test_hevc_random_access() -> None:
    stream = encoded.video("hvc1", 10)
    for unit in stream.units:
        framed = avc.join_avcc(avc.split_annexb(unit.data))
        assert hevc.has_random_access(framed) == unit.key
    with pytest.raises(CodecError):
        hevc.config_from_nals(avc.split_annexb(stream.units[1].data))


def test_hevc_record_with_a_wrong_header_is_made_anew() -> None:
    record = bytearray(hevc_config().encode())
    good = bytes(record)
    record[1:13] = bytes(12)
    assert hevc.parse_config(bytes(record)).encode() == good


def test_av1_of_an_encoder() -> None:
    stream = encoded.video("av01", 10)
    config = av1.parse_config(stream.extra)
    assert config.rfc6381() == "av01.0.00M.08"
    assert config.picture()[:2] == (128, 96)
    assert av1.parse_config(config.encode()) == config
    made = av1.config_from_obus(stream.units[0].data)
    assert made is not None
    assert av1.parse_config(made).sequence == config.sequence
    assert av1.config_from_obus(stream.units[1].data) is None
    assert [av1.is_key(unit.data) for unit in stream.units] == [unit.key for unit in stream.units]


def test_av1_temporal_delimiters_are_left_out_and_sizes_added() -> None:
    unit = encoded.video("av01", 10).units[0].data
    assert unit.startswith(b"\x12\0")
    stored = bytes(av1.stored(unit))
    assert stored == unit[2:]
    assert av1.stored(stored) is stored
    bare = [bytes([obu.raw[0] & ~2]) + bytes(obu.payload) for obu in av1.iter_obus(stored)]
    assert av1.join_obus(bare) == stored


def test_vp9_and_vp8_of_an_encoder() -> None:
    for codec, module, name in (("vp09", vp9, "vp09.00.10.08"), ("vp08", vp8, "vp08.00.10.08")):
        units = encoded.video(codec, 10).units
        assert [module.is_key(unit.data) for unit in units] == [unit.key for unit in units]
        header = module.parse_key_frame(units[0].data)
        assert header.rfc6381() == name
        assert header.picture[:2] == (128, 96)
        record = module.config_from_frame(units[0].data)
        assert vpx.parse_config(record) == vpx.parse_config(record[4:]) == header.config
        with pytest.raises(CodecError):
            module.parse_key_frame(units[1].data)


@pytest.mark.parametrize(
    ("size", "rate", "level"),
    [
        ((1920, 1080), 30, 40),
        ((1920, 1080), 60, 41),
        ((1280, 720), 30, 31),
        ((3840, 2160), 60, 51),
        ((256, 144), 15, 10),
    ],
)
def test_vp_levels(size: tuple[int, int], rate: float, level: int) -> None:
    assert vpx.level_of(*size, rate) == level


def test_vp9_profile_2_with_colours() -> None:
    bits = "10" + "01" + "0010" + f"{0x498342:024b}" + "0" + "101" + "0" + f"{1919:016b}{1079:016b}" + "0000000"
    header = vp9.parse_key_frame(int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8, "big"))
    assert header.picture[:2] == (1920, 1080)
    assert header.rfc6381() == "vp09.02.40.10.01.09.14.09.00"
    assert vpx.parse_config(header.config.encode()) == header.config


def test_opus_header_and_box() -> None:
    config = opus.parse_config(encoded.audio("Opus").extra)
    assert (config.channels, config.pre_skip, config.input_rate) == (2, 312, 48_000)
    assert opus.parse_specific_box(config.specific_box()) == config
    assert opus.config(2) == encoded.audio("Opus").extra
    with pytest.raises(CodecError):
        opus.config(6)


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x00", 480),
        (b"\x18", 2880),
        (b"\x60", 480),
        (b"\x80", 120),
        (b"\xf8", 960),
        (b"\xf9", 1920),
        (b"\xfb\x03", 2880),
    ],
)
def test_opus_durations(packet: bytes, samples: int) -> None:
    assert opus.packet_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\x1b\x3f"])
def test_opus_packets_without_a_duration(packet: bytes) -> None:
    with pytest.raises(CodecError):
        opus.packet_samples(packet)


def test_flac_header_in_all_its_wrappings() -> None:
    stream = encoded.audio("fLaC")
    config = flac.parse_config(stream.extra)
    assert (config.sample_rate, config.channels, config.bits, config.block_samples) == (48_000, 2, 16, 4608)
    block = b"\0\0\0\x22" + stream.extra
    assert flac.parse_config(block) == flac.parse_config(b"fLaC" + block) == config
    assert flac.parse_config(config.specific_box()[4:]) == config
    assert [flac.frame_samples(unit.data) for unit in stream.units] == [4608] * len(stream.units)


def test_ac3_and_enhanced_ac3() -> None:
    plain, enhanced = encoded.audio("ac-3").units[0].data, encoded.audio("ec-3").units[0].data
    first, second = ac3.parse_frame(plain), ac3.parse_frame(enhanced)
    assert (first.rfc6381(), first.size, first.channels) == ("ac-3", len(plain), 2)
    assert (second.rfc6381(), second.size, second.channels) == ("ec-3", len(enhanced), 2)
    assert ac3.packet_samples(plain + plain) == 3072
    assert len(first.specific_box()) == 3
    assert len(second.specific_box()) == 5
    with pytest.raises(CodecError):
        ac3.packet_samples(plain[:-1])


def test_mp3() -> None:
    frames = [unit.data for unit in encoded.audio(".mp3").units]
    assert mp3.parse_frame(frames[0])[:3] == (48_000, 2, 1152)
    assert [mp3.parse_frame(frame).size for frame in frames] == [len(frame) for frame in frames]
    assert mp3.packet_samples(frames[0] + frames[1]) == 2304
    with pytest.raises(CodecError):
        mp3.packet_samples(frames[0][:-1])


@pytest.mark.parametrize(
    ("head", "frame"),
    [
        ("ff fb 90 64", mp3.Mp3Frame(44_100, 2, 1152, 417)),
        ("ff fb 92 64", mp3.Mp3Frame(44_100, 2, 1152, 418)),
        ("ff f3 40 c4", mp3.Mp3Frame(22_050, 1, 576, 104)),
        ("ff e3 18 c4", mp3.Mp3Frame(8_000, 1, 576, 72)),
    ],
)
def test_heads_of_mp3(head: str, frame: mp3.Mp3Frame) -> None:
    assert mp3.parse_frame(bytes.fromhex(head)) == frame


def heard(codec: str, extra: bytes, frames: list[bytes]) -> list[tuple[int, int, int, bool]]:
    """Rate, channels, samples and silence of each decoded frame."""
    decoder = AudioCodecContext.create(codec, "r")
    decoder.extradata = extra or None
    found = [frame for data in [*frames, None] for frame in decoder.decode(av.Packet(data) if data else None)]
    return [
        (one.sample_rate, one.layout.nb_channels, one.samples, not any(map(any, map(bytes, one.planes))))
        for one in found
    ]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("rate", "samples"), [(44_100, 1152), (48_000, 1152), (22_050, 576), (8_000, 576)])
def test_silence_of_mp3(rate: int, samples: int, channels: int) -> None:
    frame = mp3.silence(rate, channels)
    assert mp3.parse_frame(frame) == mp3.Mp3Frame(rate, channels, samples, len(frame))
    assert set(heard("mp3float", b"", [frame] * 4)) == {(rate, channels, samples, True)}


def test_there_is_no_silence_of_unknown_mp3() -> None:
    with pytest.raises(CodecError):
        mp3.silence(96_000, 2)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("bits", [16, 24])
def test_silence_of_flac(bits: int, channels: int) -> None:
    fields = 44_100 << 44 | channels - 1 << 41 | bits - 1 << 36
    info = (4608).to_bytes(2) * 2 + bytes(6) + fields.to_bytes(8) + bytes(16)
    frame = flac.parse_config(info).silence()
    assert flac.frame_samples(frame) == 4608
    assert heard("flac", info, [frame] * 3) == [(44_100, channels, 4608, True)] * 3


@pytest.mark.parametrize(
    "head", ["ff fb 90", "ff fb f0 64", "ff fb 00 64", "ff fb 9c 64", "ff eb 90 64", "ff fd 90 64"]
)
def test_what_is_no_mp3(head: str) -> None:
    with pytest.raises(CodecError):
        mp3.parse_frame(bytes.fromhex(head))


def test_ac3_surround() -> None:
    frame = ac3.parse_frame(encoded.audio("ac-3", layout="5.1").units[0].data)
    assert (frame.channels, frame.low_frequency, frame.layout) == (6, True, 7)


def test_adts() -> None:
    frame = bytes.fromhex("fff14c8001 3ffc".replace(" ", "")) + b"xx"
    assert aac.split_adts(frame) == (aac.build_config(48_000, 2), b"xx")
    assert aac.split_adts(frame + b"y") is None


def test_recovery_point() -> None:
    assert avc.has_recovery_point([b"\x06\x06\x01\xc4\x80"])
    assert avc.has_recovery_point([b"\x06\x05\x02ab\x06\x01\x80\x80"])
    assert not avc.has_recovery_point([b"\x06\x06\x01\x40\x80", b"\x06\x05\xff\xff"])


READERS = (
    hevc.parse_config,
    lambda data: hevc.parse_config(data).encode(),
    lambda data: parse_sps(b"\x42\x01" + data),
    lambda data: hevc.config_from_nals(avc.split_annexb(data)),
    hevc.has_random_access,
    av1.parse_config,
    av1.config_from_obus,
    lambda data: av1.parse_config(b"\x0a" + bytes([len(data) & 0x7F]) + data),
    av1.stored,
    av1.is_key,
    av1.has_frame,
    vpx.parse_config,
    vp9.parse_key_frame,
    vp8.parse_key_frame,
    opus.parse_config,
    opus.parse_specific_box,
    opus.packet_samples,
    flac.parse_config,
    flac.frame_samples,
    ac3.packet_samples,
    mp3.packet_samples,
    lambda data: ac3.parse_frame(b"\x0b\x77" + data).specific_box(),
    aac.split_adts,
    lambda data: avc.split_any(data, 4),
    lambda data: avc.has_recovery_point([b"\x06" + data]),
)


@given(st.binary(max_size=120))
@example(b"")
@example(b"\xff" * 64)
@example(bytes(64))
def test_any_bytes(data: bytes) -> None:
    for read in READERS:
        with contextlib.suppress(CodecError):
            read(data)


@given(st.data())
def test_damaged_configurations(data: st.DataObject) -> None:
    made = [
        hevc_config().encode(),
        encoded.video("av01", 10).units[0].data,
        encoded.video("vp09", 10).units[0].data,
    ]
    whole = bytearray(data.draw(st.sampled_from(made)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for read in READERS:
        with contextlib.suppress(CodecError):
            read(bytes(whole))
