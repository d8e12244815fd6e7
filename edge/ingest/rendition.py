"""One rendition on its way into the part log: numbering, initialisation segments, bandwidth."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from appliance.contracts.media import AudioFormat, ChunkFlag, ChunkHeader, Init, Rendition, VideoFormat
from edge.media.segmenter import Chunk
from edge.media.video_clock import measured_rate
from edge.protocols.fmp4 import AudioTrack, VideoTrack, fragment, init_segment

_HEADROOM: Final = 1.25
_GROWTH: Final = 1.2
_USUAL_S: Final = 2  # from one key frame to the next
_FIRST_S: Final = 0.2  # so much of a segment is enough to tell what the rest is like
_SHORTEST_S: Final = 1  # half of the shortest target duration
_MOST_INITS: Final = 64  # of a rendition that changes to and fro
_LAST_OF_SEGMENT: Final = int(ChunkFlag.LAST_OF_SEGMENT)
_DISCONTINUITY: Final = int(ChunkFlag.DISCONTINUITY)
_GAP: Final = int(ChunkFlag.GAP)
_CLOSING: Final = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT


class Append(NamedTuple):
    """One message for the part log."""

    rendition: str
    header: ChunkHeader
    data: bytes


class ResumePoint(NamedTuple):
    """The last chunk of a rendition in the log, its sequence in the stream, and the bit/s told to players."""

    header: ChunkHeader
    sequence: int
    timescale: int
    bandwidth: int = 0

    @property
    def end_dts(self) -> int:
        """Where the rendition's media ends, in its ticks."""
        return self.header.dts + self.header.duration

    @property
    def end_pdt_us(self) -> int:
        """The same as wall clock, Unix microseconds."""
        return self.header.pdt_us + self.header.duration * 1_000_000 // self.timescale

    @property
    def end_media_time(self) -> int:
        """The same in 90 kHz ticks, rounded up."""
        return -(-self.end_dts * 90_000 // self.timescale)


class RenditionOutput:
    """Turns chunks into log messages and keeps the rendition's record. `dirty`: the record has news."""

    def __init__(
        self,
        name: str,
        timescale: int,
        epoch: int,
        *,
        inits: Sequence[Init] = (),
        last: ChunkHeader | None = None,
        bandwidth: int = 0,
        dsn: int = 0,
    ) -> None:
        """`inits` and `last` (the last chunk's header) are those of earlier sessions.

        `bandwidth` is what players were told so far in bit/s, 0 for nothing; `dsn` the discontinuities of the
        broadcast so far.
        """
        self.name = name
        self.timescale = timescale
        self.inits = list(inits)
        self.bandwidth = bandwidth
        self.dirty = False
        self._epoch = epoch
        self._uses: list[tuple[int, int]] = []  # (first msn, init), ascending
        if last is not None:
            self._uses.append((0, last.init))
        self.dsn = max(dsn, last.dsn if last is not None else 0)
        self._sequence = 0
        self._bytes = self._ticks = self._samples = 0
        self._is_guess = False  # `bandwidth` is what others usually send
        self._key_bytes = 0  # of the first picture
        self.frame_rate = 0, 1  # of the whole segments

    @property
    def current_init(self) -> int | None:
        """The initialisation segment in use, None before the first."""
        return self._uses[-1][1] if self._uses else None

    def expect(self, bandwidth: int, *, is_guess: bool = False) -> None:
        """Players have to plan for so many bit/s whatever is measured: slides may be followed by action.

        `is_guess`: the encoder has not declared it. Then its first part may tell more.
        """
        self._is_guess = is_guess
        if bandwidth > self.bandwidth:
            self.bandwidth = bandwidth
            self.dirty = True

    def use(
        self,
        track: VideoTrack | AudioTrack,
        msn: int,
        *,
        video: VideoFormat | None = None,
        audio: AudioFormat | None = None,
    ) -> None:
        """From segment `msn` on, samples are of this track. The same bytes as last are the same init.

        A form that comes back after another one is announced again, for the last one tells players what is shown.
        """
        data = init_segment(track)
        known = self.inits if len(self.inits) >= _MOST_INITS else self.inits[-1:]
        number = next((init.init for init in reversed(known) if init.data == data), None)
        if number is None:
            number = len(self.inits)
            self.inits.append(Init(init=number, data=data, video=video, audio=audio))
            self.dirty = True
        self._uses.append((msn, number))
        del self._uses[:-8]

    def move_use(self, msn: int, *, since: int = 0) -> None:
        """The initialisation segment taken into use last serves from `msn` on, if not before `since` already."""
        if self._uses and self._uses[-1][0] >= since:
            self._uses[-1] = (msn, self._uses[-1][1])

    def differs_from_last(self, track: VideoTrack | AudioTrack) -> bool:
        """Whether a reader has to load another initialisation segment for this track."""
        current = self.current_init
        if current is None or current >= len(self.inits):
            return False
        return self.inits[current].data != init_segment(track)

    def append(self, chunk: Chunk, *, late_us: int, pdt_us: int | None = None) -> Append:
        """The log message of a chunk."""
        data = b""
        flags = int(chunk.flags)
        if chunk.samples and not flags & _GAP:
            self._sequence += 1
            data = fragment(1, self._sequence, chunk.samples[0].dts, chunk.samples)
            self._samples += len(chunk.samples)
            if self._is_guess:
                self._foresee(len(data), chunk)
        self._measure(len(data), chunk.duration, ends_segment=bool(flags & _LAST_OF_SEGMENT))
        if flags & _DISCONTINUITY:
            self.dsn += 1
        header = chunk.header(
            epoch=self._epoch, init=self._init_of(chunk.msn), late_us=late_us, dsn=self.dsn, pdt_us=pdt_us
        )
        return Append(self.name, header, data)

    def closing(self, point: ResumePoint, *, late_us: int) -> Append | None:
        """The empty chunk that ends the segment an earlier process left open; None when it is closed."""
        last = point.header
        if last.flags & ChunkFlag.LAST_OF_SEGMENT:
            return None
        header = ChunkHeader(
            self._epoch, last.msn, last.part, last.chunk + 1, last.serial, _CLOSING,
            point.end_dts, 0, point.end_pdt_us, last.init, late_us, last.dsn,
        )  # fmt: skip
        return Append(self.name, header, b"")

    def record(self, broadcast_id: str) -> Rendition:
        """The record for the live bucket."""
        return Rendition(
            broadcast_id=broadcast_id,
            name=self.name,
            timescale=self.timescale,
            bandwidth=max(self.bandwidth, 1),
            inits=list(self.inits),
            frame_rate=self.frame_rate,
        )

    def _init_of(self, msn: int) -> int:
        chosen = self._uses[0][1] if self._uses else 0
        for first_msn, init in self._uses:
            if first_msn <= msn:
                chosen = init
        return chosen

    def _measure(self, size: int, duration: int, *, ends_segment: bool) -> None:
        """The record follows peaks that need more than a fifth more; what was told is never taken back.

        Segments too short for a peak by themselves (RFC 8216bis, 4.4.6.2) count with the next.
        """
        self._bytes += size
        self._ticks += duration
        if not ends_segment or (self._bytes and self._ticks < self.timescale * _SHORTEST_S):
            return
        if self._bytes:
            peak = int(self._bytes * 8 * self.timescale * _HEADROOM / self._ticks)
            if peak > self.bandwidth * _GROWTH:
                self.expect(peak)
            self._measure_rate()
        self._bytes = self._ticks = self._samples = 0

    def _foresee(self, size: int, chunk: Chunk) -> None:
        """Viewers who come at once choose before a whole segment is there: it will be as it begins."""
        before = self._ticks
        if not before:
            self._key_bytes = len(chunk.samples[0].data)
        ticks = before + chunk.duration
        if ticks < _FIRST_S * self.timescale:
            return
        self._is_guess = False
        rest = (self._bytes + size - self._key_bytes) * self.timescale / ticks
        peak = int((rest + self._key_bytes / _USUAL_S) * 8 * _HEADROOM)
        if peak > self.bandwidth * _GROWTH:
            self.expect(peak)

    def _measure_rate(self) -> None:
        """The highest that was measured, for those pictures that do not tell theirs."""
        video = self.inits[-1].video if self.inits else None
        if video is None or video.frame_rate[0]:
            return
        rate = measured_rate(self._samples, self._ticks)
        if rate > self.frame_rate:
            self.frame_rate, self.dirty = rate, True
