"""What is in initialisation segments, parts and segments: tracks and samples. Any number of tracks.

Unlike `edge.protocols.fmp4`, which reads what we write, this takes what others write, and says what is odd.
"""

import dataclasses
import itertools
import struct
import zlib
from collections.abc import Iterator

from edge.protocols.codecs import aac, av1, avc, hevc
from edge.protocols.codecs.bits import CodecError
from edge.protocols.fmp4.boxes import box
from edge.protocols.fmp4.init_reader import read_init
from edge.protocols.fmp4.reader import MAX_SAMPLES, FragmentError, boxes

MAX_BOXES = 20_000  # looked at within one box or body

_NON_SYNC = 0x00010000
_TRANSFER = {16: "PQ", 18: "HLG"}
_LIMIT = 64  # tracks, and boxes that are asked for by name


@dataclasses.dataclass(frozen=True, slots=True)
class TrackInit:
    """A track of an initialisation segment. `codec` as in CODECS, empty where it cannot be told."""

    track_id: int
    kind: str  # vide, soun or another handler
    entry: str
    timescale: int
    codec: str = ""
    width: int = 0
    height: int = 0
    display_width: int = 0  # with square pixels
    length_size: int = 4
    edits: bool = False
    video_range: str = "SDR"
    defaults: tuple[int, int, int] = (0, 0, 0)  # duration, size, flags
    rate: int = 0
    channels: int = 0

    @property
    def format(self) -> tuple[str, int, int, int, int]:
        """What may not change without a discontinuity."""
        return self.codec or self.entry, self.width, self.height, self.rate, self.channels


@dataclasses.dataclass(slots=True)
class TrackSamples:
    """Samples of one track: (decode time, duration, composition offset, sync, digest)."""

    samples: list[tuple[int, int, int, bool, int]] = dataclasses.field(default_factory=list)
    first_idr: bool = True  # whether the first sample is what its flags say

    @property
    def start(self) -> int:
        """Decode time of the first sample."""
        return self.samples[0][0]

    @property
    def end(self) -> int:
        """Decode time after the last sample."""
        return self.samples[-1][0] + self.samples[-1][1]

    @property
    def ticks(self) -> int:
        """Sum of the durations."""
        return sum(sample[1] for sample in self.samples)


@dataclasses.dataclass(slots=True)
class Media:
    """A part or segment by track. `odd` says what CMAF does not have."""

    tracks: dict[int, TrackSamples] = dataclasses.field(default_factory=dict)
    odd: list[str] = dataclasses.field(default_factory=list)
    size: int = 0


def read_tracks(data: bytes) -> list[TrackInit]:
    """The tracks of an initialisation segment. FragmentError."""
    view = memoryview(data)
    moov = _one(view, b"moov")
    if moov is None:
        raise FragmentError("no moov box")
    defaults = _defaults(moov)
    tracks = [_track(trak, defaults) for trak in _all(moov, b"trak")]
    if not tracks:
        raise FragmentError("no track")
    return tracks


def _boxes(view: memoryview) -> Iterator[tuple[bytes, int, int, int]]:
    return itertools.islice(boxes(view, 0, len(view)), MAX_BOXES)


def _all(view: memoryview, wanted: bytes) -> list[memoryview]:
    found = [view[body:end] for kind, _, body, end in _boxes(view) if kind == wanted]
    if len(found) > _LIMIT:
        raise FragmentError("too many boxes")
    return found


def _one(view: memoryview | None, *path: bytes) -> memoryview | None:
    for kind in path:
        found = _all(view, kind) if view is not None else []
        view = found[0] if found else None
    return view


def _word(view: memoryview, at: int) -> int:
    if at + 4 > len(view):
        raise FragmentError("a box ends too early")
    value: int = struct.unpack_from(">I", view, at)[0]
    return value


def _defaults(moov: memoryview) -> dict[int, tuple[int, int, int]]:
    mvex = _one(moov, b"mvex")
    if mvex is None:
        raise FragmentError("no mvex box: not a fragmented file")
    return {_word(one, 4): (_word(one, 12), _word(one, 16), _word(one, 20)) for one in _all(mvex, b"trex")}


def _track(trak: memoryview, defaults: dict[int, tuple[int, int, int]]) -> TrackInit:
    tkhd, hdlr, mdhd = _one(trak, b"tkhd"), _one(trak, b"mdia", b"hdlr"), _one(trak, b"mdia", b"mdhd")
    stsd = _one(trak, b"mdia", b"minf", b"stbl", b"stsd")
    if tkhd is None or hdlr is None or mdhd is None or stsd is None or not len(tkhd) or not len(mdhd):
        raise FragmentError("a track without tkhd, hdlr, mdhd or stsd")
    track_id = _word(tkhd, 20 if tkhd[0] == 1 else 12)
    made = TrackInit(
        track_id=track_id,
        kind=bytes(hdlr[8:12]).decode("latin-1"),
        entry=bytes(stsd[12:16]).decode("latin-1"),
        timescale=_word(mdhd, 20 if mdhd[0] == 1 else 12),
        edits=_edited(trak),
        display_width=_word(tkhd, len(tkhd) - 8) >> 16,
        defaults=defaults.get(track_id, (0, 0, 0)),
    )
    return _described(made, trak, stsd)


def _edited(trak: memoryview) -> bool:
    """Whether an edit list moves or cuts the media: a single edit from its beginning changes nothing."""
    elst = _one(trak, b"edts", b"elst")
    if elst is None or len(elst) < 8:
        return False
    start = struct.unpack_from(">q" if elst[0] == 1 else ">i", elst, 16 if elst[0] == 1 else 12)[0]
    return bool(_word(elst, 4) != 1 or start)


def _described(made: TrackInit, trak: memoryview, stsd: memoryview) -> TrackInit:
    try:
        known = read_init(box(b"moov", box(b"trak", bytes(trak))))
        codec, length = _codec(known.entry, known.config)
    except (FragmentError, CodecError):
        return made
    return dataclasses.replace(
        made,
        codec=codec,
        length_size=length,
        width=known.width,
        height=known.height,
        rate=known.sample_rate,
        channels=known.channels,
        video_range=_video_range(stsd),
    )


def _codec(entry: str, config: bytes) -> tuple[str, int]:
    """The codecs parameter, empty where the bytes alone do not say it, and the size of NAL length prefixes."""
    if entry == "avc1":
        record = avc.parse_config(config)
        return record.rfc6381(), record.length_size
    if entry == "hvc1":
        hevc_record = hevc.parse_config(config)
        return hevc_record.rfc6381(), hevc_record.length_size
    if entry == "av01":
        return av1.parse_config(config).rfc6381(), 4
    if entry == "mp4a":
        return aac.parse_config(config).rfc6381(), 4
    return "", 4


def _video_range(stsd: memoryview) -> str:
    at = bytes(stsd).find(b"colrnclx")
    return _TRANSFER.get(struct.unpack_from(">H", stsd, at + 10)[0], "SDR") if 0 <= at <= len(stsd) - 14 else "SDR"


def read_media(data: bytes, tracks: dict[int, TrackInit]) -> Media:
    """Samples of every track in order. FragmentError."""
    view = memoryview(data)
    made = Media(size=len(data))
    left = MAX_SAMPLES
    for kind, start, body, end in _boxes(view):
        if kind == b"moof":
            for traf in _all(view[body:end], b"traf"):
                left -= _traf(view, start, traf, tracks, made)
            if left < 0:
                raise FragmentError("too many samples")
    if not made.tracks:
        raise FragmentError("no samples")
    return made


def _traf(view: memoryview, moof: int, traf: memoryview, tracks: dict[int, TrackInit], made: Media) -> int:
    tfhd, tfdt = _one(traf, b"tfhd"), _one(traf, b"tfdt")
    if tfhd is None or tfdt is None:
        raise FragmentError("a track fragment without tfhd or tfdt")
    flags, track_id = _word(tfhd, 0) & 0xFFFFFF, _word(tfhd, 4)
    track = tracks.get(track_id)
    if track is None:
        raise FragmentError(f"track {track_id} is not in the initialisation segment")
    base = moof
    if flags & 1:
        base = _word(tfhd, 8) << 32 | _word(tfhd, 12)
        made.odd.append("base-data-offset")
    elif not flags & 0x020000:
        made.odd.append("no default-base-is-moof")
    wide = len(tfdt) > 0 and tfdt[0] == 1
    if not wide:
        made.odd.append("tfdt of 32 bits")
    dts = _word(tfdt, 4) << 32 | _word(tfdt, 8) if wide else _word(tfdt, 4)
    run = _Run(view, base, _tfhd_defaults(tfhd, flags, track), dts)
    samples = made.tracks.setdefault(track_id, TrackSamples())
    first = not samples.samples
    for trun in _all(traf, b"trun"):
        run.read(trun, samples)
    if first and samples.samples:
        samples.first_idr = _starts_with_idr(run.first, track)
    return len(run)


def _tfhd_defaults(tfhd: memoryview, flags: int, track: TrackInit) -> tuple[int, int, int]:
    at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    values = list(track.defaults)
    for index, flag in enumerate((0x08, 0x10, 0x20)):
        if flags & flag:
            values[index] = _word(tfhd, at)
            at += 4
    return values[0], values[1], values[2]


class _Run:
    """Reads the runs of one track fragment."""

    def __init__(self, view: memoryview, base: int, defaults: tuple[int, int, int], dts: int) -> None:
        self._view = view
        self._base = base
        self._at = base
        self._defaults = defaults
        self._dts = dts
        self._count = 0
        self.first = memoryview(b"")

    def __len__(self) -> int:
        return self._count

    def read(self, trun: memoryview, samples: TrackSamples) -> None:
        flags, count, at = _word(trun, 0), _word(trun, 4), 8
        if count > MAX_SAMPLES:
            raise FragmentError("too many samples")
        if flags & 1:
            self._at = self._base + struct.unpack_from(">i", trun, at)[0] if len(trun) >= 12 else -1
            at += 4
        first_flags = None
        if flags & 4:
            first_flags, at = _word(trun, at), at + 4
        for index in range(count):
            row = list(self._defaults)
            for column, flag in enumerate((0x100, 0x200, 0x400)):
                if flags & flag:
                    row[column], at = _word(trun, at), at + 4
            offset = 0
            if flags & 0x800:
                offset, at = _word(trun, at), at + 4
            if index == 0 and first_flags is not None:
                row[2] = first_flags
            self._sample(samples, row, offset)

    def _sample(self, samples: TrackSamples, row: list[int], offset: int) -> None:
        duration, size, flags = row
        if self._at < 0 or self._at + size > len(self._view):
            raise FragmentError("a sample lies outside the data")
        data = self._view[self._at : self._at + size]
        if not self._count:
            self.first = data
        self._count += 1
        sync = not flags & _NON_SYNC
        samples.samples.append((self._dts, duration, offset, sync, zlib.crc32(data)))
        self._at += size
        self._dts += duration


def _starts_with_idr(data: memoryview, track: TrackInit) -> bool:
    """Whether an access unit is one at which decoding can begin, as far as its bytes tell."""
    try:
        if track.entry in ("avc1", "avc3"):
            return any(nal[0] & 0x1F == avc.NAL_IDR for nal in avc.iter_nals(data, track.length_size) if len(nal))
        if track.entry in ("hvc1", "hev1"):
            return hevc.has_random_access(data, track.length_size)
    except CodecError:
        return False
    return True
