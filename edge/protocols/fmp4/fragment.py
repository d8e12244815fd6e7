"""Fragments: one moof + mdat of one track (ISO/IEC 14496-12, 8.8; ISO/IEC 23000-19, 7.3.2.3)."""

import struct
from collections.abc import Sequence

from edge.protocols.fmp4.track import Sample

SYNC_FLAGS = 0x02000000  # sample_depends_on = 2: needs no other
DELTA_FLAGS = 0x01010000  # sample_depends_on = 1, sample_is_non_sync_sample

_BASE_IS_MOOF = 0x020000
_DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS = 0x08, 0x10, 0x20
_DATA_OFFSET, _FIRST_FLAGS = 0x001, 0x004
_DURATION, _SIZE, _FLAGS, _CTS = 0x100, 0x200, 0x400, 0x800


def fragment(track_id: int, sequence: int, base_dts: int, samples: Sequence[Sample]) -> bytes:
    """moof + mdat of at least one sample, in decode order, contiguous from `base_dts`.

    Per-sample fields are written only where they vary. Composition offsets are >= 0 by contract.
    """
    if not samples:
        raise ValueError("a fragment has at least one sample")
    sizes = [len(sample.data) for sample in samples]
    tfhd, trun_flags, first_flags = _defaults(track_id, samples, sizes)
    rows = _rows(samples, sizes, trun_flags)
    trun_size = 20 + (4 if trun_flags & _FIRST_FLAGS else 0) + len(rows)
    moof_size = 8 + 16 + 8 + len(tfhd) + 20 + trun_size
    pieces = [
        struct.pack(">I4sI4sII", moof_size, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF),
        struct.pack(">I4s", 8 + len(tfhd) + 20 + trun_size, b"traf"),
        tfhd,
        struct.pack(">I4sIQ", 20, b"tfdt", 1 << 24, base_dts),
        struct.pack(">I4sIIi", trun_size, b"trun", 1 << 24 | trun_flags, len(samples), moof_size + 8),
        struct.pack(">I", first_flags) if trun_flags & _FIRST_FLAGS else b"",
        rows,
        struct.pack(">I4s", 8 + sum(sizes), b"mdat"),
    ]
    pieces.extend(sample.data for sample in samples)  # type: ignore[misc]  # join takes any buffer
    return b"".join(pieces)


def _defaults(track_id: int, samples: Sequence[Sample], sizes: list[int]) -> tuple[bytes, int, int]:
    """tfhd, the flags of trun and first_sample_flags."""
    tfhd_flags, values = _BASE_IS_MOOF, [track_id]
    trun_flags, first_flags = _DATA_OFFSET, 0
    if all(sample.duration == samples[0].duration for sample in samples):
        tfhd_flags |= _DEFAULT_DURATION
        values.append(samples[0].duration)
    else:
        trun_flags |= _DURATION
    if all(size == sizes[0] for size in sizes):
        tfhd_flags |= _DEFAULT_SIZE
        values.append(sizes[0])
    else:
        trun_flags |= _SIZE
    rest_key = samples[-1].key
    if all(sample.key == rest_key for sample in samples[1:]):
        tfhd_flags |= _DEFAULT_FLAGS
        values.append(_flags_of(rest_key))
        if samples[0].key != rest_key:
            trun_flags |= _FIRST_FLAGS
            first_flags = _flags_of(samples[0].key)
    else:
        trun_flags |= _FLAGS
    if any(sample.cts for sample in samples):
        trun_flags |= _CTS
    size = 12 + 4 * len(values)
    return struct.pack(f">I4sI{len(values)}I", size, b"tfhd", tfhd_flags, *values), trun_flags, first_flags


def _flags_of(key: bool) -> int:
    return SYNC_FLAGS if key else DELTA_FLAGS


def _rows(samples: Sequence[Sample], sizes: list[int], trun_flags: int) -> bytes:
    words: list[int] = []
    for sample, size in zip(samples, sizes, strict=True):
        if trun_flags & _DURATION:
            words.append(sample.duration)
        if trun_flags & _SIZE:
            words.append(size)
        if trun_flags & _FLAGS:
            words.append(_flags_of(sample.key))
        if trun_flags & _CTS:
            words.append(sample.cts)
    return struct.pack(f">{len(words)}I", *words)
