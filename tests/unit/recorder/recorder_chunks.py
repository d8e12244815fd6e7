"""Chunks of a rendition for the recorder's tests."""

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.protocols.fmp4 import Sample, fragment
from edge.recorder.assembler import SegmentAssembler

PDT_US = 1_700_000_000_000_000
TICKS = 1000


def chunk(msn, part=0, index=0, flags=0, *, data=None, dsn=-1, serial=None):
    """One second of media."""
    serial = 2 * msn + part if serial is None else serial
    header = ChunkHeader(
        0, msn, part, index, serial, ChunkFlag(flags), msn * TICKS, TICKS, PDT_US + msn * 2_000_000, 0, 0, dsn
    )
    return header, f"<{msn}.{part}.{index}>".encode() if data is None else data


def segment(msn, **header):
    """Two parts of one chunk."""
    last = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
    return [chunk(msn, 0, 0, ChunkFlag.LAST_OF_PART | ChunkFlag.INDEPENDENT, **header), chunk(msn, 1, 0, last)]


def gap(msn):
    return [chunk(msn, 0, 0, ChunkFlag.GAP | ChunkFlag.LAST_OF_SEGMENT, data=b"", serial=2 * msn)]


def picture(size=100, *, key=True):
    """A fragment of one frame."""
    return fragment(1, 1, 0, [Sample(0, TICKS, 0, key, bytes(size)), Sample(TICKS, TICKS, 0, False, b"delta")])


def finished(*msns, assembler=None):
    """What an assembler makes of whole segments."""
    assembler = assembler or SegmentAssembler()
    return [one for msn in msns for header, data in segment(msn) for one in assembler.accept(header, data)]
