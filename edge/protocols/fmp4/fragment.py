"""Fragments: one moof + mdat of one track (ISO/IEC 14496-12, 8.8; ISO/IEC 23000-19, 7.3.2.3)."""

import itertools
import struct
from collections.abc import Sequence
from typing import Final

from edge.protocols.fmp4.track import Sample

SYNC_FLAGS: Final = 0x02000000  # sample_depends_on = 2: needs no other
DELTA_FLAGS: Final = 0x01010000  # sample_depends_on = 1, sample_is_non_sync_sample

_BASE_IS_MOOF: Final = 0x020000
_DEFAULT_DURATION: Final = 0x08
_DEFAULT_SIZE: Final = 0x10
_DEFAULT_FLAGS: Final = 0x20
_DATA_OFFSET: Final = 0x001
_FIRST_FLAGS: Final = 0x004
_DURATION: Final = 0x100
_SIZE: Final = 0x200
_FLAGS: Final = 0x400
_CTS: Final = 0x800


def fragment(track_id: int, sequence: int, base_dts: int, samples: Sequence[Sample]) -> bytes:
    """moof + mdat of at least one sample, in decode order, contiguous from `base_dts`.

    Per-sample fields are written only where they vary. Composition offsets are >= 0 by contract.
    """
    if not samples:
        raise ValueError("a fragment has at least one sample")
    sizes = [len(sample.data) for sample in samples]
    count = len(sizes)
    tfhd, trun_flags, first_flags, columns = _layout(track_id, samples, sizes)
    rows = struct.pack(f">{len(columns) * count}I", *itertools.chain.from_iterable(zip(*columns, strict=True)))
    trun_size = 20 + len(first_flags) + len(rows)
    moof_size = 8 + 16 + 8 + len(tfhd) + 20 + trun_size
    pieces = [
        struct.pack(">I4sI4sII", moof_size, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF),
        struct.pack(">I4s", 8 + len(tfhd) + 20 + trun_size, b"traf"),
        tfhd,
        struct.pack(">I4sIQ", 20, b"tfdt", 1 << 24, base_dts),
        struct.pack(">I4sIIi", trun_size, b"trun", 1 << 24 | trun_flags, count, moof_size + 8),
        first_flags,
        rows,
        struct.pack(">I4s", 8 + sum(sizes), b"mdat"),
    ]
    pieces += [sample.data for sample in samples]  # type: ignore[misc]  # join takes any buffer
    return b"".join(pieces)


def _layout(
    track_id: int, samples: Sequence[Sample], sizes: list[int]
) -> tuple[bytes, int, bytes, list[Sequence[int]]]:
    """tfhd, the flags of trun, first_sample_flags, and the columns of trun: a field of every sample each."""
    tfhd_flags, values = _BASE_IS_MOOF, [track_id]
    trun_flags, first_flags = _DATA_OFFSET, b""
    columns: list[Sequence[int]] = []
    durations = [sample.duration for sample in samples]
    for field, default, column in ((_DURATION, _DEFAULT_DURATION, durations), (_SIZE, _DEFAULT_SIZE, sizes)):
        if column.count(column[0]) == len(column):
            tfhd_flags |= default
            values.append(column[0])
        else:
            trun_flags |= field
            columns.append(column)
    keys = [sample.key for sample in samples]
    if keys[1:].count(keys[-1]) == len(keys) - 1:
        tfhd_flags |= _DEFAULT_FLAGS
        values.append(_flags_of(keys[-1]))
        if keys[0] != keys[-1]:
            trun_flags |= _FIRST_FLAGS
            first_flags = struct.pack(">I", _flags_of(keys[0]))
    else:
        trun_flags |= _FLAGS
        columns.append([_flags_of(key) for key in keys])
    offsets = [sample.cts for sample in samples]
    if any(offsets):
        trun_flags |= _CTS
        columns.append(offsets)
    size = 12 + 4 * len(values)
    return struct.pack(f">I4sI{len(values)}I", size, b"tfhd", tfhd_flags, *values), trun_flags, first_flags, columns


def _flags_of(key: bool) -> int:
    return SYNC_FLAGS if key else DELTA_FLAGS
