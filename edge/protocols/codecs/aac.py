"""AAC: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2)."""

import msgspec

from edge.protocols.codecs.bits import BitReader, CodecError

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (2, 1, 2, 3, 4, 5, 6, 8)
_EXPLICIT_RATE = 15
_LC, _SBR, _PS = 2, 5, 29
_SBR_FOLLOWS, _PS_FOLLOWS = 0x2B7, 0x548  # behind a configuration that older decoders understand
_GENERAL_AUDIO = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23})
# Elements of each channelConfiguration: single channel, pair, low frequency effects.
_ELEMENTS = {1: "S", 2: "P", 3: "SP", 4: "SPS", 5: "SPP", 6: "SPPL", 7: "SPPPL"}
_INFO = "0" * 11  # ics_info of a long window without bands
_STREAM = "0" * 8 + "000"  # global_gain; neither pulses nor noise shaping nor gain control
_CHANNEL = "0" * 8 + _INFO + "000"
_SILENT = {"S": ("000", _CHANNEL), "P": ("001", "1" + _INFO + "00" + 2 * _STREAM), "L": ("011", _CHANNEL)}
_END = "111"


class AacConfig(msgspec.Struct, frozen=True):
    """`sample_rate` is the core coder's, the one frames count in: `frame_samples` of it per frame.

    What is heard may be more: `heard_rate`, and stereo where `is_parametric`.
    """

    object_type: int  # of the core coder; 2 is AAC-LC
    sample_rate: int
    channels: int
    frame_samples: int = 1024
    extension: int = 0  # 5 SBR, 29 SBR with parametric stereo, 0 none signalled
    layout: int = 0  # channelConfiguration; 0: the frames say it themselves
    heard_rate: int = 0
    is_parametric: bool = False

    @property
    def heard_channels(self) -> int:
        """Channels that a decoder gives."""
        return 2 if self.is_parametric else self.channels

    def silence(self) -> bytes:
        """A frame of silence; empty where none is known: no AAC-LC inside, or an unusual layout.

        Elements of no scale factor band: raw_data_block, ISO/IEC 14496-3, 4.4.2.1 and 4.4.2.7.
        """
        elements = _ELEMENTS.get(self.layout, "") if self.object_type == _LC else ""
        if not elements:
            return b""
        bits = ""
        for index, element in enumerate(elements):
            kind, content = _SILENT[element]
            bits += f"{kind}{elements[:index].count(element):04b}{content}"
        bits += _END
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")

    def rfc6381(self) -> str:
        """The codecs parameter, such as mp4a.40.2 (RFC 6381, 3.3)."""
        return f"mp4a.40.{self.extension or self.object_type}"


def parse_config(data: bytes) -> AacConfig:
    """Reads an AudioSpecificConfig. CodecError when it is empty or cannot be one."""
    reader = BitReader(bytes(data[:64]))
    object_type = _object_type(reader)
    rate = _rate(reader)
    layout = reader.bits(4)
    extension, heard_rate = 0, rate
    if object_type in (_SBR, _PS):
        extension = object_type
        heard_rate = _rate(reader)
        object_type = _object_type(reader)
    short_frames = object_type in _GENERAL_AUDIO and reader.left > 0 and reader.flag()
    is_parametric = extension == _PS
    if object_type == _LC and not extension and layout:
        heard_rate, is_parametric = _extended(reader, rate)
    channels = _CHANNELS[layout] if layout < len(_CHANNELS) else 2
    return AacConfig(
        object_type,
        rate,
        channels,
        960 if short_frames else 1024,
        extension,
        layout,
        heard_rate,
        is_parametric and layout == 1,
    )


def _extended(reader: BitReader, rate: int) -> tuple[int, bool]:
    """The rate heard and whether stereo is parametric, of what follows GASpecificConfig's first flag."""
    if reader.left < 2 or reader.flag():  # dependsOnCoreCoder
        return rate, False
    reader.flag()
    if reader.left < 17 or reader.bits(11) != _SBR_FOLLOWS or _object_type(reader) != _SBR or not reader.flag():
        return rate, False
    heard_rate = _rate(reader)
    return heard_rate, reader.left >= 12 and reader.bits(11) == _PS_FOLLOWS and reader.flag()


def build_config(sample_rate: int, channels: int, object_type: int = 2) -> bytes:
    """The two byte AudioSpecificConfig of a standard rate and 1 to 7 channels. CodecError for others."""
    if sample_rate not in _RATES or not 1 <= channels <= 7 or not 1 <= object_type <= 30:
        raise CodecError("no short configuration for this rate")
    return (object_type << 11 | _RATES.index(sample_rate) << 7 | channels << 3).to_bytes(2, "big")


def split_adts(data: bytes) -> tuple[bytes, bytes] | None:
    """AudioSpecificConfig and raw frame of one ADTS frame (ISO/IEC 14496-3, 1.A.2); None when it is raw."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return None
    size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    head = 7 if data[1] & 1 else 9
    rate, channels = data[2] >> 2 & 0x0F, (data[2] & 1) << 2 | data[3] >> 6
    if size != len(data) or size <= head or rate >= len(_RATES) or not channels:
        return None
    return build_config(_RATES[rate], channels, (data[2] >> 6) + 1), data[head:]


def _object_type(reader: BitReader) -> int:
    kind = reader.bits(5)
    if kind == 31:
        kind = 32 + reader.bits(6)
    if kind == 0:
        raise CodecError("no audio object type")
    return kind


def _rate(reader: BitReader) -> int:
    index = reader.bits(4)
    rate = reader.bits(24) if index == _EXPLICIT_RATE else _RATES[index] if index < len(_RATES) else 0
    if not 7000 <= rate <= 192_000:
        raise CodecError("a sample rate out of range")
    return rate
