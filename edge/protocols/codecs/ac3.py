"""AC-3 and Enhanced AC-3: sync frames and the configurations made of them (ETSI TS 102 366, 4.3, E.1 and F)."""

from collections.abc import Iterator

import msgspec

from edge.protocols.codecs.bits import BitReader, CodecError

_SYNC = 0x0B77
_RATES = (48_000, 44_100, 32_000)
CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_BLOCKS = (1, 2, 3, 6)
BLOCK_SAMPLES = 256
_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_FIRST_ENHANCED, _LAST_ENHANCED = 11, 16
_MAX_FRAMES = 64


class Ac3Config(msgspec.Struct, frozen=True):
    """One sync frame. `enhanced` is E-AC-3; `substream` (type, number) is (0, 0) for AC-3."""

    enhanced: bool
    sample_rate: int
    channels: int
    samples: int
    size: int  # bytes of the sync frame
    rate_code: int  # fscod
    bsid: int
    bsmod: int
    layout: int  # acmod
    low_frequency: bool
    bit_rate_code: int  # AC-3's frmsizecod / 2
    substream: tuple[int, int] = (0, 0)

    def specific_box(self) -> bytes:
        """The payload of dac3 or dec3 (F.4 and F.6)."""
        if self.enhanced:
            kbit = min(self.size * 8 * self.sample_rate // (self.samples * 1000), 8191)
            value = kbit << 3  # one independent substream
            value = value << 2 | self.rate_code
            value = value << 5 | self.bsid
            value = value << 5 | self.bsmod
            value = value << 3 | self.layout
            value = value << 1 | self.low_frequency
            return (value << 8).to_bytes(5, "big")
        value = self.rate_code << 5 | self.bsid
        value = value << 3 | self.bsmod
        value = value << 3 | self.layout
        value = value << 1 | self.low_frequency
        return (value << 10 | self.bit_rate_code << 5).to_bytes(3, "big")

    def rfc6381(self) -> str:
        """The codecs parameter."""
        return "ec-3" if self.enhanced else "ac-3"


def parse_frame(data: bytes | memoryview) -> Ac3Config:
    """Reads the sync frame that data begins with. CodecError when there is none."""
    head = BitReader(bytes(data[:12]))
    if head.bits(16) != _SYNC:
        raise CodecError("not an AC-3 frame")
    enhanced = _FIRST_ENHANCED <= (data[5] >> 3 if len(data) > 5 else 0) <= _LAST_ENHANCED
    return _enhanced(head) if enhanced else _plain(head)


def _plain(reader: BitReader) -> Ac3Config:
    reader.bits(16)  # crc1
    rate_code, size_code = reader.bits(2), reader.bits(6)
    bsid, bsmod, layout = reader.bits(5), reader.bits(3), reader.bits(3)
    if rate_code > 2 or size_code >= 2 * len(_KBIT) or bsid > 10:
        raise CodecError("not an AC-3 frame")
    if layout & 1 and layout != 1:
        reader.bits(2)  # cmixlev
    if layout & 4:
        reader.bits(2)  # surmixlev
    if layout == 2:
        reader.bits(2)  # dsurmod
    low = reader.flag()
    rate, padded = _RATES[rate_code], size_code & 1 and rate_code == 1
    samples = 6 * BLOCK_SAMPLES
    return Ac3Config(
        False,
        rate,
        CHANNELS[layout] + low,
        samples,
        plain_size(rate_code, size_code >> 1) + 2 * padded,
        rate_code,
        bsid,
        bsmod,
        layout,
        low,
        size_code >> 1,
    )


def plain_size(rate_code: int, bit_rate_code: int) -> int:
    """Bytes of a frame of AC-3 that is not padded (table 4.13)."""
    return 2 * (96_000 * _KBIT[bit_rate_code] // _RATES[rate_code])


def _enhanced(reader: BitReader) -> Ac3Config:
    kind, number, size = reader.bits(2), reader.bits(3), 2 * (reader.bits(11) + 1)
    rate_code = reader.bits(2)
    half = reader.bits(2)  # fscod2, or numblkscod
    blocks = 6 if rate_code == 3 else _BLOCKS[half]
    if kind == 3 or (rate_code == 3 and half == 3):
        raise CodecError("not an E-AC-3 frame")
    rate = _RATES[half] // 2 if rate_code == 3 else _RATES[rate_code]
    layout, low = reader.bits(3), reader.flag()
    bsid = reader.bits(5)
    samples = blocks * BLOCK_SAMPLES
    return Ac3Config(
        True, rate, CHANNELS[layout] + low, samples, size, rate_code, bsid, 0, layout, low, 0, (kind, number)
    )


def read_specific_box(box: bytes, *, enhanced: bool) -> Ac3Config:
    """A frame as the payload of dac3 or dec3 tells of, of six blocks. CodecError."""
    reader = BitReader(bytes(box))
    kbit = reader.bits(16) >> 3 if enhanced else 0
    rate_code, bsid = reader.bits(2), reader.bits(5)
    bsmod = reader.bits(5 if enhanced else 3) & 7
    layout, low, code = reader.bits(3), reader.flag(), 0 if enhanced else reader.bits(5)
    if rate_code > 2 or code >= len(_KBIT):
        raise CodecError("not a configuration of AC-3")
    rate, samples = _RATES[rate_code], 6 * BLOCK_SAMPLES
    size = 2 * (kbit * 1000 * samples // (16 * rate)) if enhanced else plain_size(rate_code, code)
    return Ac3Config(
        enhanced, rate, CHANNELS[layout] + low, samples, size, rate_code, bsid, bsmod, layout, low, code
    )


def iter_frames(data: bytes | memoryview) -> Iterator[Ac3Config]:
    """The sync frames of a packet. CodecError when something else is in it."""
    view, at = memoryview(data), 0
    for _ in range(_MAX_FRAMES):
        if at >= len(view):
            return
        frame = parse_frame(view[at:])
        if frame.size < 8 or at + frame.size > len(view):
            raise CodecError("an AC-3 frame is cut off")
        yield frame
        at += frame.size


def packet_samples(data: bytes | memoryview) -> int:
    """Samples of a packet: those of its frames of the first independent substream. CodecError."""
    samples = sum(
        frame.samples for frame in iter_frames(data) if frame.substream[0] != 1 and not frame.substream[1]
    )
    if not samples:
        raise CodecError("an AC-3 packet without a frame")
    return samples
