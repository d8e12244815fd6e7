"""What passes between the reader of the log, the threads and the writer."""

from typing import NamedTuple

from appliance.contracts.media import ChunkHeader
from edge.transcode.forms import AudioForm, VideoForm


class SourceChunk(NamedTuple):
    """A chunk of a source rendition. `form` is what decodes it, None when there is nothing to decode."""

    sequence: int
    header: ChunkHeader
    data: bytes
    form: VideoForm | AudioForm | None


class Boundary(NamedTuple):
    """The start of a segment: its number, and the stream sequence where decoding for it begins.

    That is the chunk with the last key frame at or before the start, several segments back after forced cuts.
    """

    msn: int
    source_sequence: int
    discontinuity: bool


class Output(NamedTuple):
    """A finished chunk of a rendition."""

    rung: str
    header: ChunkHeader
    source_sequence: int
    data: bytes
