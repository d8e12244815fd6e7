"""Takes fragments apart: moof + mdat to samples. Payloads are views of the input, nothing is copied."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from edge.protocols.fmp4.track import Sample

MAX_SAMPLES = 65_536

_NON_SYNC = 0x00010000
_BASE_OFFSET, _DESCRIPTION_INDEX = 0x01, 0x02
_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS = 0x08, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS = 0x001, 0x004
_DURATION, _SIZE, _FLAGS, _CTS = 0x100, 0x200, 0x400, 0x800


class FragmentError(BadInputError):
    """The bytes are not fragments this reader understands."""

    code = "fmp4"


class Fragment(NamedTuple):
    """One moof + mdat. `samples` hold views of the bytes that were read."""

    track_id: int
    sequence: int
    base_dts: int
    samples: list[Sample]


class _Defaults(NamedTuple):
    track_id: int
    duration: int
    size: int
    flags: int


class _Words:
    """Big-endian words off a view; reading past the end is a FragmentError."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def u32(self) -> int:
        if self._at + 4 > len(self._view):
            raise FragmentError("a box ends too early")
        value: int = struct.unpack_from(">I", self._view, self._at)[0]
        self._at += 4
        return value

    def u64(self) -> int:
        return self.u32() << 32 | self.u32()


def read_fragments(data: bytes | memoryview) -> list[Fragment]:
    """Every moof + mdat of `data` in order; other boxes are skipped. FragmentError on anything else.

    One track fragment per moof, as this package and CMAF write them. At most MAX_SAMPLES in all.
    """
    view = memoryview(data)
    fragments: list[Fragment] = []
    left = MAX_SAMPLES
    for kind, start, body_start, end in boxes(view, 0, len(view)):
        if kind == b"moof":
            fragments.append(_moof(view, start, body_start, end, left))
            left -= len(fragments[-1].samples)
    return fragments


def read_first_sample(data: bytes | memoryview) -> Fragment:
    """The fragment that `data` begins with, with its first sample only: what follows that may be missing.

    FragmentError when the data does not begin with a moof, or ends before the sample does.
    """
    view = memoryview(data)
    size = int.from_bytes(view[:4], "big")
    for kind, start, body_start, end in boxes(view, 0, min(size, len(view))):
        if kind == b"moof":
            found = _moof(view, start, body_start, end, 1, first_only=True)
            if found.samples:
                return found
    raise FragmentError("not the beginning of a fragment with a sample")


def boxes(view: memoryview, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Type, start, start of the body and end of each box in a range."""
    while start < end:
        if end - start < 8:
            raise FragmentError("a box header is cut off")
        size, kind = struct.unpack_from(">I4s", view, start)
        body = start + 8
        if size == 1:
            if end - start < 16:
                raise FragmentError("a box header is cut off")
            size = struct.unpack_from(">Q", view, body)[0]
            body += 8
        if size < body - start or start + size > end:
            raise FragmentError("a box is longer than what holds it")
        yield kind, start, body, start + size
        start += size


def _moof(
    view: memoryview, moof_start: int, start: int, end: int, limit: int, *, first_only: bool = False
) -> Fragment:
    sequence = 0
    traf: tuple[int, int] | None = None
    for kind, _, body, stop in boxes(view, start, end):
        if kind == b"mfhd":
            words = _Words(view[body:stop])
            words.u32()
            sequence = words.u32()
        elif kind == b"traf" and traf is None:
            traf = (body, stop)
    if traf is None:
        raise FragmentError("a moof without a track fragment")
    return _traf(view, moof_start, traf, sequence, limit, first_only=first_only)


def _traf(
    view: memoryview, moof_start: int, traf: tuple[int, int], sequence: int, limit: int, *, first_only: bool
) -> Fragment:
    defaults = _Defaults(0, 0, 0, 0)
    dts = base_dts = 0
    samples: list[Sample] = []
    for kind, _, body, stop in boxes(view, *traf):
        if kind == b"tfhd":
            defaults = _tfhd(_Words(view[body:stop]))
        elif kind == b"tfdt":
            words = _Words(view[body:stop])
            base_dts = dts = words.u64() if words.u32() >> 24 else words.u32()
        elif kind == b"trun" and not (first_only and samples):
            run = _trun(
                view, moof_start, view[body:stop], defaults, dts, limit - len(samples), first_only=first_only
            )
            samples.extend(run)
            dts = samples[-1].end if samples else dts
    return Fragment(defaults.track_id, sequence, base_dts, samples)


def _tfhd(words: _Words) -> _Defaults:
    flags = words.u32()
    track_id = words.u32()
    if flags & _BASE_OFFSET:
        raise FragmentError("base_data_offset is not used in CMAF")
    if flags & _DESCRIPTION_INDEX:
        words.u32()
    duration = words.u32() if flags & _DEFAULT_DURATION else 0
    size = words.u32() if flags & _DEFAULT_SIZE else 0
    sample_flags = words.u32() if flags & _DEFAULT_FLAGS else 0
    return _Defaults(track_id, duration, size, sample_flags)


def _trun(
    view: memoryview,
    moof_start: int,
    body: memoryview,
    defaults: _Defaults,
    dts: int,
    limit: int,
    *,
    first_only: bool,
) -> list[Sample]:
    words = _Words(body)
    flags = words.u32() & 0xFFFFFF
    count = min(words.u32(), 1) if first_only else words.u32()
    if count > limit:
        raise FragmentError("too many samples")
    at = moof_start + (words.u32() if flags & _DATA_OFFSET else 0)
    first_flags = words.u32() if flags & _FIRST_FLAGS else None
    samples: list[Sample] = []
    for index in range(count):
        duration = words.u32() if flags & _DURATION else defaults.duration
        size = words.u32() if flags & _SIZE else defaults.size
        sample_flags = words.u32() if flags & _FLAGS else defaults.flags
        if index == 0 and first_flags is not None:
            sample_flags = first_flags
        cts = words.u32() if flags & _CTS else 0
        if at + size > len(view):
            raise FragmentError("a sample lies outside the data")
        samples.append(Sample(dts, duration, cts, not sample_flags & _NON_SYNC, view[at : at + size]))
        at += size
        dts += duration
    return samples
