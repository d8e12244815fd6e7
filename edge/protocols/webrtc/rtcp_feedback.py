"""RTCP as a sender reads it: what receivers miss, want and estimate. RFC 3550, RFC 4585, RFC 5104."""

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

_HEAD = struct.Struct("!BBH")
_REPORT = struct.Struct("!IIIIII")
_PAIR = struct.Struct("!HH")
_SR, _RR, _TRANSPORT_FEEDBACK, _PAYLOAD_FEEDBACK = 200, 201, 205, 206
_NACK, _PLI, _FIR, _APPLICATION = 1, 1, 4, 15
_MOST_SEQUENCES = 512


class Missing(NamedTuple):
    """Packets of `source` that are to be sent again, by their 16-bit sequence numbers."""

    source: int
    sequences: tuple[int, ...]


class KeyWanted(NamedTuple):
    """A picture of `source` cannot be decoded."""

    source: int


class Estimate(NamedTuple):
    """What the receiver thinks that may be sent to it, bit/s (REMB)."""

    bit_rate: int


class Reception(NamedTuple):
    """A reception report: `lost` is the share since the last one, 0 to 1."""

    source: int
    lost: float


Feedback: TypeAlias = Missing | KeyWanted | Estimate | Reception


def parse_feedback(data: bytes) -> Iterator[Feedback]:
    """What a decrypted compound packet says; other packets are passed over, damage ends it."""
    at = 0
    while at + 4 <= len(data):
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            return
        form, body = first & 0x1F, data[at + 4 : end]
        if kind == _RR:
            yield from _receptions(body[4:], form)
        elif kind == _SR:
            yield from _receptions(body[24:], form)
        elif len(body) >= 8 and kind == _TRANSPORT_FEEDBACK and form == _NACK:
            yield _missing(body)
        elif len(body) >= 8 and kind == _PAYLOAD_FEEDBACK:
            yield from _payload_feedback(form, body)
        at = end


def _receptions(body: bytes, count: int) -> Iterator[Reception]:
    for number in range(min(count, len(body) // _REPORT.size)):
        source, loss, *_ = _REPORT.unpack_from(body, number * _REPORT.size)
        yield Reception(source, (loss >> 24) / 256)


def _missing(body: bytes) -> Missing:
    found: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, mask = _PAIR.unpack_from(body, at)
        found.append(first)
        found += [(first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return Missing(int.from_bytes(body[4:8], "big"), tuple(found[:_MOST_SEQUENCES]))


def _payload_feedback(form: int, body: bytes) -> Iterator[Feedback]:
    if form == _PLI:
        yield KeyWanted(int.from_bytes(body[4:8], "big"))
    elif form == _FIR and len(body) >= 12:
        yield KeyWanted(int.from_bytes(body[8:12], "big"))
    elif form == _APPLICATION and len(body) >= 16 and body[8:12] == b"REMB":
        word = int.from_bytes(body[12:16], "big")
        yield Estimate((word & 0x3FFFF) << (word >> 18 & 0x3F))
