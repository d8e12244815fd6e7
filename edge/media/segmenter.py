"""Cuts a rendition into segments, parts and chunks. Exact integer arithmetic on decode times, no clock.

Rules, in the order they are applied to each sample:

1. A segment starts on a key frame once 0.9 of the segment target has elapsed, at a discontinuity on its key
   frame at once, and by force before the sample that would make it longer than `max_segment`.
   With `given_boundaries` it starts exactly where the caller says and nowhere else.
2. A part is cut *before* the sample that would make it longer than `part_target`.
3. Eager close: when another sample of the same duration could not fit, the part closes with this one, so
   its last chunk says so without waiting for the next sample. Who knows better closes it by `close_part`.
4. A chunk closes when it is as near to `chunk_target` as whole samples allow. With `tapered` the chunks of a part
   get shorter towards its end, about as many as otherwise: of four the first is four units
   long, the last one. Who works on them is done with each when the next one comes, and a part's last samples
   wait for no others.

5. With `contiguous` a hole in decode times leaves none in the media: the last sample lasts longer if it is not out
   yet, as far as its part may go. What is left of the hole is before the next sample, which is decoded where the
   one before was said to end, and shown when it is due. In the playlist's time, which is that of a chunk's `dts`
   and `duration`, the end of a part or segment comes where the next one begins.

No frame is ever held back to find out whether it is the last of its segment. When the boundary arrives and
the last chunk is out already, an **empty closing chunk** follows it: no samples, duration 0, the msn and
part of the last one, the next chunk index, flags LAST_OF_PART|LAST_OF_SEGMENT. Readers must accept it; it
adds no media. It lasts as long as a hole that follows it, if that belongs to it by
rule 5. A part left open by an irregular sample is closed the same way with LAST_OF_PART alone.

Samples that are known to be missing are told as GAP parts (`missing`), whose segment has none before them. It
ends with the next key frame.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample

_CLOSING: Final = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
# As plain numbers: each operation on an enum.IntFlag costs a microsecond.
_NONE: Final = int(ChunkFlag.NONE)
_INDEPENDENT: Final = int(ChunkFlag.INDEPENDENT)
_LAST_OF_PART: Final = int(ChunkFlag.LAST_OF_PART)
_LAST_OF_SEGMENT: Final = int(ChunkFlag.LAST_OF_SEGMENT)
_DISCONTINUITY: Final = int(ChunkFlag.DISCONTINUITY)
_GAP: Final = int(ChunkFlag.GAP)


class Chunk(NamedTuple):
    """What becomes one message of the part log. Times in ticks, `pdt_us` in Unix microseconds.

    `lead`: so much before it is due the first sample is decoded, and so much longer it lasts.
    """

    msn: int
    part: int
    chunk: int
    serial: int
    flags: ChunkFlag
    dts: int
    duration: int
    pdt_us: int
    samples: list[Sample]
    lead: int = 0

    @property
    def ends_part(self) -> bool:
        """Whether a part ends with it and its segment goes on."""
        return int(self.flags) & (_LAST_OF_PART | _LAST_OF_SEGMENT) == _LAST_OF_PART

    def header(
        self, *, epoch: int, init: int, late_us: int = 0, dsn: int = -1, pdt_us: int | None = None
    ) -> ChunkHeader:
        """The header of its message. `pdt_us` where it is known better than when the chunk was made."""
        return ChunkHeader(
            epoch, self.msn, self.part, self.chunk, self.serial, self.flags, self.dts, self.duration,
            self.pdt_us if pdt_us is None else pdt_us, init, late_us, dsn, self.lead,
        )  # fmt: skip


class _Hole:
    """What is left of one before a sample; `told` of it belongs to the part before in the playlist's time."""

    __slots__ = ("ticks", "told")

    def __init__(self, ticks: int = 0, told: int = 0) -> None:
        self.ticks = ticks
        self.told = told


_NO_HOLE: Final = _Hole()


class _Open:
    """The segment and part being filled."""

    def __init__(self, msn: int, dts: int, flags: int) -> None:
        self.msn = msn
        self.start_dts = dts
        self.due_dts = dts  # when it would have started if its first samples had come in time
        self.first_flags = flags  # for the first chunk of the segment
        self.is_missing = False  # it begins with samples that are missing
        self.part = 0
        self.part_dts = dts
        self.part_chunks = 0  # emitted chunks of the part
        self.part_is_new = True  # no sample yet
        self.part_closed = False  # LAST_OF_PART is out


class Segmenter:
    """One rendition. Feed samples in decode order with rising dts; a hole in dts is allowed."""

    def __init__(self, config: SegmenterConfig, *, msn: int = 0, serial: int = 0) -> None:
        """`msn` is given to the first segment, `serial` to its first part (a resumed rendition goes on)."""
        self.config = config
        self.next_msn = msn
        self.next_serial = serial
        self.forced_cuts = 0  # segments that could not start on a key frame
        self._open: _Open | None = None
        self._pending: list[Sample] = []
        self._pending_dts = self._pending_pdt_us = 0  # of the first of them
        self._pending_target = 0  # ticks that they may be in one chunk
        self._pending_hole = _NO_HOLE  # before the first of them
        self._told = 0  # ticks of a hole that the next chunk to close a part lasts longer
        self._end_dts = 0
        self._end_pdt_us = 0
        self.step = 0  # duration of the last sample
        self.interval = 0  # ticks from one sample to the next, longer where holes lie between them
        self._apart = 0  # of the last two samples
        self._length = 0  # of the last whole segment

    @property
    def msn(self) -> int | None:
        """The segment being filled; None before the first sample and after `finish`."""
        return self._open.msn if self._open else None

    @property
    def end_dts(self) -> int:
        """Decode time at which what was pushed ends."""
        return self._end_dts

    def begin_at(self, dts: int) -> None:
        """What comes first comes at `dts`: for one that begins with what is missing. No segment may be open."""
        self._end_dts = dts

    def outlook(self, *, chunks: bool = True) -> tuple[int, int]:
        """Decode time of the last sample, and ticks to that which completes a part, or with `chunks` a chunk.

        Provided that samples and segments go on as the last ones did. 0: that is not known.
        """
        current, config, end, step = self._open, self.config, self._end_dts, self.step
        if current is None or not step:
            return end, 0
        begun = end if current.part_closed or current.part_is_new else current.part_dts
        most = begun + config.part_target - step  # a sample that ends behind that completes it
        if chunks and config.chunk_target:
            chunk = self._pending_dts if self._pending else end
            is_first = current.part_closed or current.part_is_new
            target = self._pending_target
            if not self._pending:
                target = self._chunk_target(begun, 0 if is_first else current.part_chunks, end, step)
            most = min(most, chunk + target - step // 2)
        following = current.start_dts + self._length
        if self._length and following >= end:
            most = min(most, following)  # the sample that starts the next segment ends this one's part
        return end - step, (max(0, most - end) // self.interval + 1) * self.interval

    def set_max_segment(self, ticks: int) -> None:
        """The target duration is known (it is announced once, after the first GOP)."""
        self.config = self.config.replace(max_segment=ticks)

    def set_chunk_target(self, ticks: int, *, tapered: bool = False) -> None:
        """Chunks that begin from now on are so long; 0: one per part. `tapered`: see above."""
        self.config = self.config.replace(chunk_target=ticks, tapered=tapered)

    def push(
        self, sample: Sample, *, pdt_us: int, msn: int | None = None, discontinuity: bool = False
    ) -> list[Chunk]:
        """Chunks that `sample` completes. `msn` starts that segment here (given boundaries only)."""
        out: list[Chunk] = []
        current, config = self._open, self.config
        dts, step = sample.dts, sample.duration
        end = dts + step
        if current is not None and msn is None and dts == self._end_dts and self._only_adds(current, sample, end):
            self._pending.append(sample)
            self._end_dts, self.step = end, step
            self.interval = self._apart = step
            self._end_pdt_us = pdt_us + step * 1_000_000 // config.timescale
            return out
        self._measure_interval(sample)
        starts = current is None or self._starts_segment(current, sample, msn, discontinuity)
        hole = _NO_HOLE
        if config.contiguous and dts > self._end_dts and current is not None and not discontinuity:
            hole = self._bridge(current, sample, starts)
        if current is None or starts:
            if current is not None:
                self._length = dts - current.start_dts
                self._close_segment(current, out)
            current = self._start_segment(sample, msn, discontinuity)
            self.forced_cuts += not sample.key
        elif end - current.part_dts > config.part_target and not (current.part_is_new or current.part_closed):
            self._close_part(current, out)
        if self._pending and self._end_dts != dts:
            self._mend_hole(sample)
        self._add(current, sample, hole, pdt_us)
        self._end_dts, self.step = end, step
        self._end_pdt_us = pdt_us + step * 1_000_000 // config.timescale
        if end + step - current.part_dts > config.part_target:
            self._close_part(current, out)
        elif self._pending_target and end + step - self._pending_dts > self._pending_target + step // 2:
            self._emit(current, _NONE, out)
        return out

    def _measure_interval(self, sample: Sample) -> None:
        """One hole may be a pause; two of them are a slow source, such as slides."""
        hole = sample.dts - self._end_dts if self.step else 0
        apart = self.step + hole if hole > 0 else sample.duration
        self.interval, self._apart = max(sample.duration, min(apart, self._apart)), apart

    def push_all(self, samples: Sequence[Sample], *, pdt_us: int) -> list[Chunk]:
        """As `push` of each, where no segment can start (given boundaries only). `pdt_us` of the first."""
        out: list[Chunk] = []
        at, count, begin = 0, len(samples), samples[0].dts
        while at < count:
            if self._open is not None and self._pending:
                at = self._add_run(self._open, samples, at)
            if at < count:
                at_us = pdt_us + (samples[at].dts - begin) * 1_000_000 // self.config.timescale
                out += self.push(samples[at], pdt_us=at_us)
                at += 1
        return out

    def _add_run(self, current: _Open, samples: Sequence[Sample], at: int) -> int:
        """Adds the samples from index `at` on that only add to the part. The index of the first that does not."""
        pending, end, begun = self._pending, self._end_dts, self._end_dts
        part, chunk = current.part_dts + self.config.part_target, self._pending_dts + self._pending_target
        for index in range(at, len(samples)):
            sample = samples[index]
            dts, step = sample.dts, sample.duration
            ahead = dts + 2 * step
            if dts != end or ahead > part or (self._pending_target and ahead > chunk + step // 2):
                break
            pending.append(sample)
            end, self.step = dts + step, step
        else:
            index = len(samples)
        self._end_dts = end
        if end != begun:
            self.interval = self._apart = self.step
        self._end_pdt_us += (end - begun) * 1_000_000 // self.config.timescale
        return index

    def _only_adds(self, current: _Open, sample: Sample, end: int) -> bool:
        """Whether `sample`, which follows the one before at once, completes and begins nothing, as most do."""
        config, target, ahead = self.config, self._pending_target, end + sample.duration
        if not self._pending or ahead - current.part_dts > config.part_target:
            return False
        if target and ahead - self._pending_dts > target + sample.duration // 2:
            return False
        return config.given_boundaries or not (sample.key or end - current.start_dts > config.max_segment)

    def _add(self, current: _Open, sample: Sample, hole: _Hole, pdt_us: int) -> None:
        """`sample` joins the part; the chunk that it begins is decoded from the hole's beginning on."""
        begin = sample.dts - hole.ticks + hole.told
        if current.part_closed:
            self._next_part(current)
        if current.part_is_new:
            current.part_is_new = False
            current.part_dts = begin
        if not self._pending:
            self._pending_dts, self._pending_pdt_us, self._pending_hole = begin, pdt_us, hole
            self._pending_target = self._chunk_target(
                current.part_dts, current.part_chunks, sample.dts, sample.duration
            )
        self._pending.append(_led(sample, hole.ticks) if hole.ticks else sample)

    def _bridge(self, current: _Open, sample: Sample, starts: bool) -> _Hole:
        """Closes the hole before `sample` as far as the open part can, and says what is left of it."""
        target = self.config.part_target
        part = None if current.part_is_new or current.part_closed else current
        fits = part is not None and not starts and sample.end - part.part_dts <= target
        room = sample.dts - self._end_dts
        if part is not None and not fits:
            room = min(room, max(0, part.part_dts + target - self._end_dts))
        if self._pending:
            last = self._pending[-1]
            self._pending[-1] = last.replace(duration=last.duration + room)
            self._end_dts += room
        left = sample.dts - self._end_dts
        if starts:
            # One that would make the segment too long stays a hole. A duration is rounded when it is judged.
            most = self.config.max_segment + 2 * self.config.timescale // 5
            told = left = left if sample.dts - current.start_dts <= most else 0
        else:
            told = 0 if self._pending or fits or part is None else room
        self._told = told
        return _Hole(left, told)

    def begun_late(self, ticks: int) -> None:
        """The segment that is open began so much later than its key frame was due: the next one does not."""
        if self._open is not None:
            self._open.due_dts = self._open.start_dts - ticks

    def close_part(self, least: int) -> list[Chunk]:
        """Closes the part that is open with what was pushed, if it lasts `least` ticks."""
        current, out = self._open, list[Chunk]()
        is_open = current is not None and not (current.part_is_new or current.part_closed)
        if current is not None and is_open and self._end_dts - current.part_dts >= least:
            self._close_part(current, out)
        return out

    def is_too_far(self, dts: int) -> bool:
        """Whether a sample at `dts` lies behind a hole for which there is no room in the segment that is open."""
        if self._open is None or dts - self._end_dts <= self.config.part_target:
            return False
        return dts - self._open.start_dts > self.config.max_segment

    def missing(
        self, duration: int, *, pdt_us: int, msn: int | None = None, discontinuity: bool = False
    ) -> list[Chunk]:
        """Behind what was pushed nothing came for `duration` ticks, a part at most: a GAP part.

        The first one starts a segment, and so does one that would make it longer than the segment target. With
        given boundaries `msn` does.
        """
        out: list[Chunk] = []
        current, dts = self._open, self._end_dts
        sample = Sample(dts, duration, 0, False, b"")
        if current is None or self._is_missing_segment(current, dts + duration, msn):
            if current is not None:
                self._close_segment(current, out)
            current = self._start_segment(sample, msn, discontinuity)
            current.is_missing = True
        elif not (current.part_closed or current.part_is_new):
            self._close_part(current, out)
        self._add(current, sample, _NO_HOLE, pdt_us)
        self._end_dts, self.step = dts + duration, duration
        self._end_pdt_us = pdt_us + duration * 1_000_000 // self.config.timescale
        self._emit(current, _LAST_OF_PART | _GAP, out)
        current.part_closed = True
        return out

    def _is_missing_segment(self, current: _Open, end: int, msn: int | None) -> bool:
        """Whether a part without samples, up to `end`, begins a segment."""
        if self.config.given_boundaries:
            return msn is not None and msn != current.msn
        return not current.is_missing or end - current.start_dts > self.config.segment_target

    def finish(self) -> list[Chunk]:
        """Ends the segment, as a publisher's departure does. The next sample starts another."""
        out: list[Chunk] = []
        if self._open is not None:
            self._close_segment(self._open, out)
            self._open = None
        return out

    def gap(self, until_dts: int, *, pdt_us: int, from_dts: int | None = None, count: int = 0) -> list[Chunk]:
        """Empty segments up to `until_dts`, none longer than the segment target; `pdt_us` is the first's.

        `count`: so many equally long ones, or more where the target asks for it.
        """
        out = self.finish()
        start = self._end_dts if from_dts is None else from_dts
        dts = start
        longest = self.config.segment_target
        if count:
            longest = min(longest, -(-(until_dts - start) // count))
        while dts < until_dts:
            duration = min(longest, until_dts - dts)
            at_us = pdt_us + (dts - start) * 1_000_000 // self.config.timescale
            out.append(self.gap_segment(self.next_msn, dts, duration, pdt_us=at_us))
            dts += duration
        return out

    def gap_segment(self, msn: int, dts: int, duration: int, *, pdt_us: int) -> Chunk:
        """One empty segment of one part, which uses up no serial. No segment may be open."""
        chunk = Chunk(
            msn, 0, 0, self.next_serial, ChunkFlag.GAP | _CLOSING, dts, duration, pdt_us, []
        )  # fmt: skip
        self.next_msn = msn + 1
        self._end_dts = dts + duration
        self._end_pdt_us = pdt_us + duration * 1_000_000 // self.config.timescale
        return chunk

    def _chunk_target(self, part_dts: int, chunks: int, dts: int, step: int) -> int:
        """Ticks of the chunk that begins at `dts`, of a part that began at `part_dts` and has `chunks` already.

        A part is taken to hold as many samples of `step` ticks as fit.
        """
        target, part = self.config.chunk_target, self.config.part_target
        if not target or not self.config.tapered:
            return target
        left = max(1, -(-part // target) - chunks)
        rest = part_dts + part - part % max(1, step) - dts
        return max(1, 2 * rest // (left + 1))  # n of 1 + 2 + ... + n units

    def _starts_segment(self, current: _Open, sample: Sample, msn: int | None, discontinuity: bool) -> bool:
        if self.config.given_boundaries:
            return msn is not None and msn != current.msn
        due = sample.dts - current.due_dts
        if sample.key and (discontinuity or current.is_missing or 10 * due >= 9 * self.config.segment_target):
            return True
        elapsed = sample.dts - current.start_dts
        return elapsed > 0 and elapsed + sample.duration > self.config.max_segment

    def _start_segment(self, sample: Sample, msn: int | None, discontinuity: bool) -> _Open:
        if msn is None:
            msn = self.next_msn
        flags = _DISCONTINUITY if discontinuity else _NONE
        self.next_msn = msn + 1
        self._open = _Open(msn, sample.dts, flags)
        return self._open

    def _mend_hole(self, sample: Sample) -> None:
        """In a fragment times follow from durations: the sample before a hole lasts until its end."""
        last = self._pending[-1]
        self._pending[-1] = last.replace(duration=max(1, sample.dts - last.dts))

    def _close_part(self, current: _Open, out: list[Chunk]) -> None:
        self._emit(current, _LAST_OF_PART, out)
        current.part_closed = True

    def _close_segment(self, current: _Open, out: list[Chunk]) -> None:
        self._emit(current, int(_CLOSING), out)

    def _next_part(self, current: _Open) -> None:
        current.part += 1
        current.part_chunks = 0
        current.part_closed = False
        current.part_is_new = True
        self.next_serial += 1

    def _emit(self, current: _Open, flags: int, out: list[Chunk]) -> None:
        """The pending samples as a chunk, or an empty closing chunk when there are none. `flags` of ChunkFlag."""
        samples, self._pending = self._pending, []
        hole, self._pending_hole = self._pending_hole, _NO_HOLE
        dts, duration, pdt_us = self._end_dts, 0, self._end_pdt_us
        if samples:
            dts, pdt_us = self._pending_dts, self._pending_pdt_us
            duration = sum([one.duration for one in samples]) - hole.told
            flags |= current.first_flags | (_INDEPENDENT if samples[0].key else 0)
            current.first_flags = _NONE
        out.append(
            Chunk(
                current.msn, current.part, current.part_chunks, self.next_serial, ChunkFlag(flags),
                dts, duration + self._told, pdt_us, samples, hole.ticks,
            )
        )  # fmt: skip
        self._told = 0
        is_only = current.part == 0 and current.part_chunks == 0
        current.part_chunks += 1
        if flags & _LAST_OF_SEGMENT and not (is_only and samples and not all(one.data for one in samples)):
            self.next_serial += 1  # as ChunkHeader.next_serial: a segment that is one gap uses up none


def _led(sample: Sample, ticks: int) -> Sample:
    """Decoded so much earlier, shown as before."""
    return sample.replace(dts=sample.dts - ticks, cts=sample.cts + ticks, duration=sample.duration + ticks)


def unled(samples: list[Sample], lead: int) -> list[Sample]:
    """The samples of a chunk with the decode times that they had before: `lead` is the chunk's."""
    return [_led(samples[0], -lead), *samples[1:]] if lead and samples else samples
