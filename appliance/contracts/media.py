"""The part log's wire form and the live state of a broadcast.

A *chunk* is one moof+mdat. A *part* is a run of chunks closed by LAST_OF_PART, a *segment* a run of
parts closed by LAST_OF_SEGMENT. Segment numbers (msn) are given by ingest once and are the same in
every rendition; they never go back, neither after a restart nor after a publisher's return.
"""

import enum
from typing import Final

import msgspec

from appliance.contracts.directory import Profile
from appliance.contracts.errors import BadInputError

CHUNK_HEADER: Final = "Chunk"
VIDEO_TIMESCALE: Final = 90_000
SOURCE: Final = "source"
AUDIO: Final = "audio"
AUDIO_AAC: Final = "aac"  # the audio made by the transcoder where players cannot play what was sent


class ChunkFlag(enum.IntFlag):
    """What a reader must know before it looks at the bytes."""

    NONE = 0
    INDEPENDENT = 1  # starts with a sync sample
    LAST_OF_PART = 2
    LAST_OF_SEGMENT = 4  # implies LAST_OF_PART
    GAP = 8  # empty payload: media of this time was lost or never sent; a part, or at once a whole segment
    DISCONTINUITY = 16  # first chunk of a segment whose codec configuration or clock changed


class ChunkHeader(msgspec.Struct, frozen=True):
    """Header of one message of the part log, sent as one space separated line in `CHUNK_HEADER`."""

    epoch: int  # counts publisher sessions of the broadcast
    msn: int  # media sequence number of the segment
    part: int  # index of the part in its segment
    chunk: int  # index of the chunk in its part
    serial: int  # counts the parts of this rendition since the broadcast began; names the part's URI
    flags: ChunkFlag
    dts: int  # when it begins, rendition timescale: where the chunk before ended, unless there is a hole
    duration: int  # how long it lasts in playlists, rendition timescale
    pdt_us: int  # wall clock of the first sample, Unix microseconds
    init: int  # which initialisation segment of the rendition decodes it
    late_us: int = 0  # wall clock at which the last sample had arrived at ingest, Unix microseconds; 0 unknown
    dsn: int = -1  # discontinuities of the broadcast up to this segment, its own included; -1 not counted
    lead: int = 0  # the first sample is decoded so much before its time and lasts longer, rendition timescale

    def encode(self) -> str:
        """The header line."""
        return (
            f"{self.epoch} {self.msn} {self.part} {self.chunk} {self.serial} {int(self.flags)} "
            f"{self.dts} {self.duration} {self.pdt_us} {self.init} {self.late_us} {self.dsn} {self.lead}"
        )

    @classmethod
    def decode(cls, line: str) -> "ChunkHeader":
        """Reads a header line. BadInputError when it is not one."""
        try:
            numbers = [int(token) for token in line.split()]
            epoch, msn, part, chunk, serial, flags, dts, duration, pdt_us, init = numbers[:10]
        except ValueError as error:
            raise BadInputError("not a chunk header", code="chunk_header") from error
        late_us = numbers[10] if len(numbers) > 10 else 0
        dsn = numbers[11] if len(numbers) > 11 else -1
        lead = numbers[12] if len(numbers) > 12 else 0
        kind = ChunkFlag(flags)
        return cls(epoch, msn, part, chunk, serial, kind, dts, duration, pdt_us, init, late_us, dsn, lead)

    @property
    def is_gap_segment(self) -> bool:
        """Whether this chunk is a whole segment without media, which has no part."""
        whole = ChunkFlag.GAP | ChunkFlag.LAST_OF_SEGMENT
        return self.flags & whole == whole and self.part == 0 and self.chunk == 0

    @property
    def next_serial(self) -> int:
        """Serial of the part after this segment's last chunk; a gap segment has no part and uses up none."""
        return self.serial if self.is_gap_segment else self.serial + 1

    def message_id(self, broadcast_id: str, rendition: str) -> str:
        """De-duplication id: the same chunk appended twice is stored once."""
        return f"{broadcast_id}.{rendition}.{self.epoch}.{self.msn}.{self.part}.{self.chunk}"


class VideoFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What a video rendition is. `frame_rate` is exact (numerator, denominator), (0, 1) unknown or variable."""

    codec: str  # RFC 6381, such as avc1.64001f
    width: int
    height: int
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)


class AudioFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What an audio rendition is."""

    codec: str  # RFC 6381, such as mp4a.40.2
    sample_rate: int
    channels: int


class Init(msgspec.Struct, frozen=True, kw_only=True):
    """One initialisation segment of a rendition. `init` counts up from 0; bytes never change.

    `from_msn` > 0: the transcoder takes it into use with that segment, announced before any rendition has begun
    it, so that all of them have a discontinuity there.
    """

    init: int
    data: bytes  # ftyp+moov
    from_msn: int = 0
    video: VideoFormat | None = None
    audio: AudioFormat | None = None


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """A rendition that is in the part log, at `rendition.<broadcast>.<name>` of the live bucket."""

    broadcast_id: str
    name: str  # "source", "audio", "720p", ...
    timescale: int
    bandwidth: int  # bit/s a player must plan for (peak of a segment)
    inits: list[Init]  # newest last; at least one
    frame_rate: tuple[int, int] = (0, 1)  # of pictures as they came, in whole segments; (0, 1): not measured


class BroadcastState(enum.StrEnum):
    """starting -> live <-> interrupted -> ended; starting -> ended when nothing usable came."""

    STARTING = "starting"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something the streamer can put right, in words they know."""

    code: str
    text: str


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """A broadcast as its site sees it, at `broadcast.<id>` of the live bucket. Written by ingest only.

    `broadcast_id` is the public stream_id. `target_duration_s` and `part_target_s` never change.
    `ladder` names every video rendition a viewer may expect, best first: "source" is not among them when
    players cannot show it. `contributed` names those that the encoder sends itself, besides the source, also
    where it has stopped and they left the ladder; the transcoder makes the others. `audio` names the rendition
    viewers hear: "audio" as it was sent, or "aac" made of it by the transcoder.
    """

    broadcast_id: str
    channel_id: str
    channel: str
    user_id: str
    edge_id: str
    title: str = ""
    state: BroadcastState = BroadcastState.STARTING
    epoch: int = 0
    started_at_ms: int = 0
    changed_at_ms: int = 0
    part_target_s: float = 0.35
    target_duration_s: int = 4
    ladder: list[str] = []
    contributed: list[str] = []
    audio: str = AUDIO
    has_video: bool = False
    has_audio: bool = False
    has_captions: bool = False  # closed captions came in the pictures (CEA-608); transcoded ones keep them
    encoder: str = ""  # what the publisher calls itself
    ingest: str = ""  # the process that writes it
    priority: int = 0  # who keeps their rungs longest when capacity is short: higher; 1 is a partner's channel
    profile: Profile = Profile.LATENCY
    slot: str = "primary"  # or "standby": which of the channel's publishers is on the air
    problems: list[Problem] = []


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Why a publisher was refused or cut last, at `notice.<channel_id>` of the live bucket."""

    channel_id: str
    channel: str
    at_ms: int
    code: str
    text: str
