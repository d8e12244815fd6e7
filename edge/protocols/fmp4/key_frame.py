"""The first picture of a segment as a fragment of its own: what an I-frame playlist lists.

A byte range of the segment would do for some players (draft-pantos-hls-rfc8216bis, 4.4.3.6), but it would end
inside of an mdat, and those that read one stream take what follows for the rest of that.
"""

from edge.protocols.fmp4.fragment import fragment
from edge.protocols.fmp4.reader import FragmentError, read_first_sample


def key_frame_end(data: bytes | memoryview) -> int:
    """Bytes from the beginning of a segment to the end of its first sample, when that is a sync sample; else 0.

    FragmentError when the data is not the beginning of a segment.
    """
    sample = read_first_sample(data).samples[0]
    moof_size = int.from_bytes(data[:4], "big")
    return moof_size + 8 + len(sample.data) if sample.key else 0


def key_fragment(data: bytes | memoryview, ticks: int, later: int = 0) -> bytes:
    """A fragment of the first sample alone, which lasts `ticks`: as long as the whole segment, say.

    It is shown `later` by so many ticks.

    `data` need not go further than `key_frame_end` says. FragmentError when it is not the beginning of a segment or
    that does not begin with a sync sample.
    """
    found = read_first_sample(data)
    if not found.samples[0].key:
        raise FragmentError("the segment does not begin with a sync sample")
    sample = found.samples[0].replace(duration=ticks)
    return fragment(found.track_id, found.sequence, found.base_dts + later, [sample])
