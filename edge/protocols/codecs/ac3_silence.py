"""A frame of silence in AC-3 and E-AC-3, written bit by bit (ETSI TS 102 366, 4.3 and E.1.2).

No channel has mantissas: at the lowest signal-to-noise offset none gets a bit (7.2.2), and without dither what has
no bit is zero. The exponents are flat and said once. What is left of a frame is skipped, in all blocks alike, since
each block has its share of a frame (4.4.2).
"""

from edge.protocols.codecs.ac3 import BLOCK_SAMPLES, CHANNELS, Ac3Config, plain_size

_SYNC = 0x0B77
_POLYNOMIAL = 0x8005  # x^16 + x^15 + x^2 + 1 (6.1.7)
_BLOCKS = 6
_NEW = 3  # exponent strategy: one for four (D45), which takes the fewest bits
_FLAT = 62  # a group of three exponents that are as the one before
_GROUPS, _LOW_GROUPS = 6, 2  # of 73 exponents, four at a time, and of the seven of the low frequency channel
_LOUDNESS = 31
_HALVED = (24_000, 22_050, 16_000)
_BLOCK_CODES = (1, 2, 3, 6)
_MOST_SKIPPED = 511  # bytes in a block
_SKIPPING = 10  # bits that say how many
_TAIL = 18  # bits behind auxiliary data: none of it, reserved, crc2


class _Bits:
    def __init__(self) -> None:
        self.value = self.count = 0

    def put(self, value: int, count: int) -> None:
        self.value = self.value << count | value
        self.count += count

    def join(self, other: "_Bits") -> None:
        self.put(other.value, other.count)

    def skip(self, size: int) -> None:
        """Bytes that mean nothing."""
        self.put(1 << 9 | size, _SKIPPING)
        self.put(0, 8 * size)

    def filled(self, size: int) -> bytearray:
        """As so many bytes."""
        return bytearray((self.value << 8 * size - self.count).to_bytes(size, "big"))


def silence(frame: Ac3Config) -> bytes:
    """A frame of the form and size of `frame`; empty where that is too small, or of a dependent substream."""
    return _enhanced(frame) if frame.enhanced else _plain(frame)


def _plain(frame: Ac3Config) -> bytes:
    head, size = _head(frame), plain_size(frame.rate_code, frame.bit_rate_code)
    blocks = [_block(frame, number) for number in range(_BLOCKS)]
    used = head.count + sum(block.count + _SKIPPING for block in blocks) + _TAIL
    left = (8 * size - used) // 8
    if left < 0:
        return b""
    for number, block in enumerate(blocks):
        head.join(block)
        head.skip(min(_MOST_SKIPPED, left * (number + 1) // _BLOCKS - left * number // _BLOCKS))
    data = head.filled(size)
    words = size // 2
    first = 2 * ((words >> 1) + (words >> 3))  # five eighths have a check of their own, which comes first
    data[2:4] = _leading_check(data[4:first])
    data[-2:] = _check(data[2:-2])
    return bytes(data)


def _head(frame: Ac3Config) -> _Bits:
    """syncinfo and bsi."""
    layout, bits = frame.layout, _Bits()
    bits.put(_SYNC, 16)
    bits.put(0, 16)  # crc1
    bits.put(frame.rate_code, 2)
    bits.put(2 * frame.bit_rate_code, 6)
    bits.put(frame.bsid, 5)
    bits.put(frame.bsmod, 3)
    bits.put(layout, 3)
    bits.put(0, 2 * ((layout & 1 and layout != 1) + (layout & 4 > 0) + (layout == 2)))  # mix levels, surround mode
    bits.put(frame.low_frequency, 1)
    bits.put(_LOUDNESS, 5)
    bits.put(0, 3)  # no compression, language, production
    if not layout:
        bits.put(_LOUDNESS, 5)
        bits.put(0, 3)
    bits.put(0b01000, 5)  # an original without copyright, time codes and additional information
    return bits


def _block(frame: Ac3Config, number: int) -> _Bits:
    """An audio block up to what is skipped in it."""
    full, low, bits, is_first = CHANNELS[frame.layout], int(frame.low_frequency), _Bits(), not number
    bits.put(0, 2 * full + 1 + (not frame.layout))  # long blocks, no dither, no dynamic range
    bits.put(*(0b10, 2) if is_first else (0, 1))  # no coupling
    if frame.layout == 2:
        bits.put(*(1 << 4, 5) if is_first else (0, 1))  # no rematrixing
    _put_exponents(bits, full, low, is_first)
    if is_first:
        bits.put(1 << 11, 12)  # bit allocation: any
        bits.put(1 << 6 + 7 * (full + low), 7 + 7 * (full + low))  # the lowest offsets
    else:
        bits.put(0, 2)
    bits.put(0, 1)  # no delta bit allocation
    return bits


def _put_exponents(bits: _Bits, full: int, low: int, is_first: bool) -> None:
    for _ in range(full):
        bits.put(_NEW if is_first else 0, 2)
    bits.put(low and is_first, low)
    if is_first:
        _put_flat(bits, full, low)


def _put_flat(bits: _Bits, full: int, low: int) -> None:
    """Bandwidth codes and exponents."""
    bits.put(0, 6 * full)
    for groups in [_GROUPS] * full + [_LOW_GROUPS] * low:
        bits.put(15, 4)
        for _ in range(groups):
            bits.put(_FLAT, 7)
        bits.put(0, 2 * (groups == _GROUPS))  # gain range


def _enhanced(frame: Ac3Config) -> bytes:
    if frame.substream[0]:
        return b""
    bits = _enhanced_head(frame)
    for number in range(frame.samples // BLOCK_SAMPLES):
        _put_enhanced_block(bits, frame, is_first=not number)
    if bits.count + _TAIL > 8 * frame.size:
        return b""
    data = bits.filled(frame.size)
    data[-2:] = _check(data[2:-2])
    return bytes(data)


def _enhanced_head(frame: Ac3Config) -> _Bits:
    """syncinfo and bsi, then audfrm."""
    blocks, bits = frame.samples // BLOCK_SAMPLES, _Bits()
    bits.put(_SYNC, 16)
    bits.put(frame.substream[1], 5)
    bits.put(frame.size // 2 - 1, 11)
    bits.put(frame.rate_code, 2)
    bits.put(_HALVED.index(frame.sample_rate) if frame.rate_code == 3 else _BLOCK_CODES.index(blocks), 2)
    bits.put(frame.layout, 3)
    bits.put(frame.low_frequency, 1)
    bits.put(frame.bsid, 5)
    for _ in range(1 if frame.layout else 2):
        bits.put(_LOUDNESS << 1, 6)  # no compression
    bits.put(0, 3 if blocks == _BLOCKS else 4)  # no metadata, no further information; nothing to convert together
    _put_audio_frame(bits, frame, blocks)
    return bits


def _put_audio_frame(bits: _Bits, frame: Ac3Config, blocks: int) -> None:
    full = CHANNELS[frame.layout]
    if blocks == _BLOCKS:
        bits.put(0b10, 2)  # exponent strategies of each block, no adaptive hybrid transform
    bits.put(0b00_00_1_00000, 10)  # one offset for all; of what blocks may say they say whether there is dither
    if frame.layout > 1:
        bits.put(0, blocks)  # no coupling
    for number in range(blocks):
        for _ in range(full):
            bits.put(0 if number else _NEW, 2)
    if frame.low_frequency:
        bits.put(1 << blocks - 1, blocks)
    bits.put(0, 5 * full if blocks == _BLOCKS else 1)  # strategies for a converter
    bits.put(0, 10)  # the lowest offsets
    if blocks > 1:
        bits.put(0, 1)  # no places of the blocks


def _put_enhanced_block(bits: _Bits, frame: Ac3Config, *, is_first: bool) -> None:
    full = CHANNELS[frame.layout]
    bits.put(0, full + 1 + (not frame.layout) + 1)  # no dither, dynamic range, spectral extension
    if frame.layout == 2:
        bits.put(0, 4 if is_first else 1)  # no rematrixing
    if is_first:
        _put_flat(bits, full, int(frame.low_frequency))
    bits.put(0, 1)  # no offset for a converter


def _check(data: bytes | bytearray) -> bytes:
    """What makes the remainder of `data` and itself zero."""
    state = 0
    for byte in data:
        state = _fed(state, byte)
    return state.to_bytes(2, "big")


def _fed(state: int, byte: int) -> int:
    state ^= byte << 8
    for _ in range(8):
        state = (state << 1 ^ (_POLYNOMIAL if state & 0x8000 else 0)) & 0xFFFF
    return state


def _leading_check(data: bytes | bytearray) -> bytes:
    """What makes the remainder of itself and `data` zero: the division run backwards."""
    state = 0
    for byte in (*reversed(data), 0, 0):
        for _ in range(8):
            carried = state & 1
            state = (state ^ (_POLYNOMIAL if carried else 0)) >> 1 | carried << 15
        state ^= byte << 8
    return state.to_bytes(2, "big")
