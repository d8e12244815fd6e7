"""RTCP: what a sender reports, and what a receiver says (written). RFC 3550, RFC 4585, RFC 5104."""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

_HEAD = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_SENDER_INFO = struct.Struct("!IIQIII")
_REPORT = struct.Struct("!IIIIII")
_PAIR = struct.Struct("!HH")
_SR, _RR, _SDES, _BYE, _TRANSPORT_FEEDBACK, _PAYLOAD_FEEDBACK = 200, 201, 202, 203, 205, 206
_NACK, TRANSPORT_WIDE, _PLI, _FIR, _APPLICATION = 1, 15, 1, 4, 15
_MOST_REPORTS = 31


class SenderReport(NamedTuple):
    """At `ntp` (64-bit NTP time of the sender's clock, RFC 3550, 4) its RTP clock showed `rtp`."""

    ssrc: int
    ntp: int
    rtp: int


class Goodbye(NamedTuple):
    """Sources that end."""

    ssrcs: tuple[int, ...]


Report: TypeAlias = SenderReport | Goodbye


class ReceptionReport(NamedTuple):
    """One block of a receiver report (RFC 3550, 6.4.1); fractions of 256, times of 65536 to the second."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int


def parse_compound(data: bytes) -> Iterator[Report]:
    """The reports of a decrypted compound packet; other packets are passed over, damage ends it."""
    at = 0
    while at + 4 <= len(data):
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            return
        if kind == _SR and end - at >= 28:
            _, ssrc, ntp, rtp, _, _ = _SENDER_INFO.unpack_from(data, at)
            yield SenderReport(ssrc, ntp, rtp)
        elif kind == _BYE:
            count = min(first & 0x1F, words)
            yield Goodbye(struct.unpack_from(f"!{count}I", data, at + 4))
        at = end


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def receiver_report(sender: int, blocks: Iterable[ReceptionReport] = ()) -> bytes:
    """A receiver report of at most 31 blocks; without any it is the head that a compound packet needs."""
    packed = [
        _REPORT.pack(
            one.ssrc,
            (one.fraction_lost & 0xFF) << 24 | min(max(one.lost, 0), 0x7FFFFF),
            one.highest & 0xFFFFFFFF,
            min(one.jitter, 0xFFFFFFFF),
            one.last_report,
            one.delay & 0xFFFFFFFF,
        )
        for one in list(blocks)[:_MOST_REPORTS]
    ]
    return _packet(len(packed), _RR, _WORD.pack(sender) + b"".join(packed))


def sender_report(sender: int, ntp: int, rtp: int, packets: int, octets: int) -> bytes:
    """A sender report without blocks (RFC 3550, 6.4.1): at 64-bit `ntp` the RTP clock of `sender` showed `rtp`."""
    numbers = sender, ntp, rtp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    return _packet(0, _SR, struct.pack("!IQIII", *numbers))


def source_description(sender: int, name: bytes) -> bytes:
    """The canonical name of `sender` (at most 255 bytes)."""
    chunk = struct.pack("!IBB", sender, 1, len(name)) + name + b"\0"
    return _packet(1, _SDES, chunk + b"\0" * (-len(chunk) % 4))


def picture_loss(sender: int, source: int) -> bytes:
    """Asks for a key frame (RFC 4585, 6.3.1)."""
    return feedback(_PLI, _PAYLOAD_FEEDBACK, sender, source)


def full_intra(sender: int, source: int, number: int) -> bytes:
    """The older way to ask for one (RFC 5104, 4.3.1); `number` grows with every new request."""
    return feedback(_FIR, _PAYLOAD_FEEDBACK, sender, 0, struct.pack("!IB3x", source, number & 0xFF))


def negative_acknowledgement(sender: int, source: int, sequences: Iterable[int]) -> bytes:
    """Asks for packets again (RFC 4585, 6.2.1). `sequences` in ascending order (modulo 2**16)."""
    items: list[bytes] = []
    first, mask = -1, 0
    for sequence in sequences:
        distance = (sequence - first) & 0xFFFF
        if first >= 0 and 1 <= distance <= 16:
            mask |= 1 << (distance - 1)
            continue
        if first >= 0:
            items.append(_PAIR.pack(first, mask))
        first, mask = sequence, 0
    if first >= 0:
        items.append(_PAIR.pack(first, mask))
    return feedback(_NACK, _TRANSPORT_FEEDBACK, sender, source, b"".join(items))


def receiver_estimate(sender: int, bit_rate: int, sources: Iterable[int]) -> bytes:
    """REMB (draft-alvestrand-rmcat-remb-03): `sources` may send `bit_rate` bit/s in all."""
    listed = [_WORD.pack(source) for source in sources]
    exponent = max(0, bit_rate.bit_length() - 18)
    word = len(listed) << 24 | exponent << 18 | bit_rate >> exponent
    return feedback(_APPLICATION, _PAYLOAD_FEEDBACK, sender, 0, b"REMB" + _WORD.pack(word) + b"".join(listed))


def transport_feedback(sender: int, source: int, body: bytes) -> bytes:
    """Transport-wide congestion control feedback around `body` (see twcc)."""
    return feedback(TRANSPORT_WIDE, _TRANSPORT_FEEDBACK, sender, source, body + b"\0" * (-len(body) % 4))


def feedback(form: int, kind: int, sender: int, source: int, body: bytes = b"") -> bytes:
    """A feedback message (RFC 4585, 6.1)."""
    return _packet(form, kind, struct.pack("!II", sender, source) + body)
