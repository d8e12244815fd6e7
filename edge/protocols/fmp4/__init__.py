"""Fragmented MP4 as CMAF has it (ISO/IEC 14496-12, 23000-19): writes initialisation segments and fragments,
and takes both apart again.

Any edge role may call it. One track per file, decode times absolute, composition offsets never negative,
no edit lists. Reading never raises anything but FragmentError.
"""

from edge.protocols.fmp4.fragment import fragment
from edge.protocols.fmp4.init import init_segment
from edge.protocols.fmp4.init_reader import read_init
from edge.protocols.fmp4.key_frame import key_fragment, key_frame_end
from edge.protocols.fmp4.reader import Fragment, FragmentError, read_fragments
from edge.protocols.fmp4.track import AudioTrack, InitTrack, Payload, Sample, VideoTrack

__all__ = [
    "AudioTrack",
    "Fragment",
    "FragmentError",
    "InitTrack",
    "Payload",
    "Sample",
    "VideoTrack",
    "fragment",
    "init_segment",
    "key_fragment",
    "key_frame_end",
    "read_fragments",
    "read_init",
]
