"""Transport-wide congestion control: when each packet came, told to the sender who paces by it.

draft-holmer-rmcat-transport-wide-cc-extensions-01. The arrival times must be the kernel's: with those of a
busy event loop the sender sees a congested network and stays at a postage stamp of a picture.
"""

import struct
from typing import Final

from edge.protocols.webrtc.rtp import SerialUnwrap

_TICKS_PER_S: Final = 4_000  # 250 us
_TICKS_PER_REFERENCE: Final = 256  # 64 ms
_MOST: Final = 2_000  # packets of one report
_MISSING: Final = 0
_SMALL: Final = 1
_LARGE: Final = 2
_RUN: Final = 7  # from here on a run length is no longer than status vectors


class ArrivalLog:
    """Arrivals since the last report. Bounded: what is older than the newest `_MOST` numbers is left out."""

    def __init__(self) -> None:
        self._unwrap = SerialUnwrap(16)
        self._ticks: dict[int, int] = {}
        self._base = -1
        self._count = 0

    def note(self, sequence: int, at: float) -> None:
        """The packet with this transport-wide number arrived at `at` (seconds)."""
        number = self._unwrap(sequence)
        if self._base < 0:
            self._base = number
        if number >= self._base and number not in self._ticks:
            self._ticks[number] = int(at * _TICKS_PER_S)

    def report(self) -> bytes:
        """The body of the next feedback message, empty when nothing arrived."""
        if not self._ticks:
            return b""
        end = max(self._ticks) + 1
        base = max(self._base, end - _MOST)
        first = next(self._ticks[number] for number in range(base, end) if number in self._ticks)
        reference = first // _TICKS_PER_REFERENCE
        symbols, deltas = self._deltas(base, end, reference * _TICKS_PER_REFERENCE)
        head = struct.pack("!HH", base & 0xFFFF, end - base) + (reference & 0xFFFFFF).to_bytes(3, "big")
        body = head + bytes([self._count & 0xFF]) + _chunks(symbols) + deltas
        self._count += 1
        self._base = end
        self._ticks.clear()
        return body

    def _deltas(self, base: int, end: int, clock: int) -> tuple[list[int], bytes]:
        symbols, deltas = [], bytearray()
        for number in range(base, end):
            ticks = self._ticks.get(number)
            if ticks is None:
                symbols.append(_MISSING)
                continue
            step = max(-0x8000, min(0x7FFF, ticks - clock))
            clock += step
            if 0 <= step <= 0xFF:
                symbols.append(_SMALL)
                deltas.append(step)
            else:
                symbols.append(_LARGE)
                deltas += struct.pack("!h", step)
        return symbols, bytes(deltas)


def _chunks(symbols: list[int]) -> bytes:
    """Packet status chunks: run lengths for long runs, vectors of seven two-bit symbols for the rest."""
    out = bytearray()
    at = 0
    while at < len(symbols):
        run = _run_length(symbols, at)
        if run >= _RUN:
            out += (symbols[at] << 13 | run).to_bytes(2, "big")
            at += run
            continue
        vector = symbols[at : at + _RUN]
        word = 0b11
        for symbol in vector + [_MISSING] * (_RUN - len(vector)):
            word = word << 2 | symbol
        out += word.to_bytes(2, "big")
        at += _RUN
    return bytes(out)


def _run_length(symbols: list[int], at: int) -> int:
    end = at + 1
    while end < len(symbols) and symbols[end] == symbols[at] and end - at < 0x1FFF:
        end += 1
    return end - at
