"""Rungs of a source whose pictures stop for a while, as parts without media, with a real encoder."""

import threading
from itertools import pairwise

import av
import pytest
from av.video.frame import VideoFrame

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.transcode import RungMode
from edge.media.ladder import Rung
from edge.media.late_pictures import LatePictures
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.control import RungControl
from edge.transcode.forms import VideoForm
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import (
    FRAME,
    PDT,
    level_of,
    pass_through,
    picture_source,
    reordered_source,
)
from tests.unit.transcode.lineups import x264_lineup

PART = 31_500
CONFIG = SegmenterConfig(
    timescale=90_000, part_target=PART, segment_target=180_000, max_segment=360_000, given_boundaries=True,
    contiguous=True,
)  # fmt: skip
RUNGS = [Rung("90p", 160, 90, 100_000, (30, 1)), Rung("60p", 106, 60, 60_000, (15, 1))]
NOTHING = RungPosition(None, 0, 0)


class Log:
    """A source as ingest appends it."""

    def __init__(self, form: VideoForm) -> None:
        self.chunks: list[SourceChunk] = []
        self._form = form
        self._msn = self._part = -1

    def segment(self) -> None:
        self._msn, self._part = self._msn + 1, -1

    def pictures(self, samples: list[Sample]) -> None:
        """One part."""
        duration = sum(sample.duration for sample in samples)
        flags = ChunkFlag.INDEPENDENT if samples[0].key else ChunkFlag.NONE
        self._add(flags, samples[0].dts, duration, fragment(1, 1, samples[0].dts, samples))

    def missing(self, dts: int, until: int) -> None:
        """As many parts as it takes."""
        while dts < until:
            duration = min(PART, until - dts)
            self._add(ChunkFlag.GAP, dts, duration, b"")
            dts += duration

    def _add(self, flags: ChunkFlag, dts: int, duration: int, data: bytes) -> None:
        self._part += 1
        header = ChunkHeader(
            1, self._msn, self._part, 0, len(self.chunks), flags | ChunkFlag.LAST_OF_PART, dts, duration,
            PDT + dts * 1_000_000 // 90_000, 0,
        )  # fmt: skip
        self.chunks.append(SourceChunk(len(self.chunks) + 1, header, data, self._form if data else None))


def run(
    chunks: list[SourceChunk], positions: dict[str, RungPosition] | None = None, paused: tuple[str, ...] = ()
) -> tuple[list[Output], RungControl]:
    outputs: list[Output] = []
    failures: list[BaseException] = []
    rungs = [
        RungWorker(rung, x264_lineup(rung), CONFIG, (positions or {}).get(rung.name, NOTHING),
                   outputs.append, failures.append)
        for rung in RUNGS
    ]  # fmt: skip
    control = RungControl()
    control.wanted = dict.fromkeys(paused, RungMode.PAUSED)
    pipeline = Pipeline(rungs, lambda: None, failures.append, control)
    pass_through(pipeline, chunks)
    assert not failures
    return outputs, control


def run_in_modes(steps: list[tuple[list[SourceChunk], tuple[str, ...]]]) -> list[Output]:
    """Some chunks after the other, with those rungs paused."""
    outputs: list[Output] = []
    failures: list[BaseException] = []
    rungs = [
        RungWorker(rung, x264_lineup(rung), CONFIG, NOTHING, outputs.append, failures.append) for rung in RUNGS
    ]
    control, taken = RungControl(), threading.Semaphore(0)
    pipeline = Pipeline(rungs, taken.release, failures.append, control)
    pipeline.start()
    for chunks, paused in steps:
        control.wanted = dict.fromkeys(paused, RungMode.PAUSED)
        for chunk in chunks:
            pipeline.put(chunk)
        for _ in chunks:
            assert taken.acquire(timeout=10)
    pipeline.drain()
    pipeline.stop()
    assert not failures
    return outputs


def of(outputs: list[Output], rung: str) -> list[Output]:
    return [output for output in outputs if output.rung == rung]


def frames(outputs: list[Output]) -> list[Sample]:
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def gaps(outputs: list[Output]) -> list[tuple[int, int, int]]:
    """Segment, beginning and length of each part without media."""
    return [(o.header.msn, o.header.dts, o.header.duration) for o in outputs if o.header.flags & ChunkFlag.GAP]


def assert_whole(outputs: list[Output]) -> None:
    headers = [output.header for output in outputs]
    for before, after in pairwise(headers):
        assert before.dts + before.duration == after.dts
        assert before.msn <= after.msn <= before.msn + 1
        assert before.serial <= after.serial <= before.serial + 1


def stopped(gop: int, *, cts: int = 0) -> Log:
    """Thirty pictures, a second without, and pictures again: with a key frame, or in the middle of the GOP."""
    encoded = picture_source("libx264", 60, gop)
    samples = [sample.replace(cts=cts) for sample in encoded.samples]
    later = [sample.replace(dts=sample.dts + 30 * FRAME) for sample in samples[30:]]
    log = Log(encoded.form)
    log.segment()
    for at in range(0, 30, 10):
        log.pictures(samples[at : at + 10])
    log.segment()
    log.missing(30 * FRAME, 60 * FRAME)
    if later[0].key:
        log.segment()
    for at in range(0, 30, 10):
        log.pictures(later[at : at + 10])
    return log


def starts(found: list[Output]) -> dict[int, int]:
    """Where segments begin."""
    return {o.header.msn: o.header.dts for o in reversed(found)}


@pytest.mark.parametrize("cts", [0, 2 * FRAME])
@pytest.mark.parametrize("paused", [(), ("90p",), ("90p", "60p")])
def test_rungs_show_the_last_picture_on(cts: int, paused: tuple[str, ...]) -> None:
    outputs, _ = run(stopped(30, cts=cts).chunks, paused=paused)
    begin, end = 30 * FRAME + cts, 60 * FRAME + cts
    for rung, step in (("90p", 1), ("60p", 2)):
        found = of(outputs, rung)
        assert_whole(found)
        assert starts(found) == {0: cts, 1: begin, 2: end}
        missing = [one for one in gaps(found) if one[0] == 1]
        if rung in paused:
            assert not frames(found)
            assert sum(duration for _, _, duration in missing) == end - begin
            continue
        assert missing == []
        shown = frames(found)
        assert [one.pts - cts for one in shown if one.key] == [0, 30 * FRAME, 60 * FRAME]
        still = [one for one in shown if begin <= one.pts < end]
        assert len(still) == 32 / step
        assert all(one.end == two.dts for one, two in pairwise(shown))
        came = [one.pts // FRAME - cts // FRAME for one in shown if one not in still]
        assert came == [*range(0, 30, step), *range(60, 90, step)]
        levels = [bytes(picture.planes[0])[0] for picture in decoded(found)]
        at = [one.pts for one in shown].index(begin)
        assert max(levels[at : at + len(still)]) - min(levels[at : at + len(still)]) <= 1
        assert abs(levels[at] - level_of(29)) <= 3
        assert abs(levels[-1] - level_of(60 - step)) <= 3


@pytest.mark.parametrize("paused", [("90p",), ("90p", "60p")], ids=["one", "all"])
@pytest.mark.parametrize("gop", [30, 90])
def test_a_rung_that_runs_again_while_pictures_are_missing_shows_the_last_one(
    paused: tuple[str, ...], gop: int
) -> None:
    before = picture_source("libx264", 30, 30)
    encoded = picture_source("libx264", 60, gop, start=30)
    log = Log(encoded.form)
    log.segment()
    log.pictures(before.samples)
    log.segment()
    for at in range(0, 30, 10):
        log.pictures(encoded.samples[at : at + 10])
    for begin in (60, 90):
        log.segment()
        log.missing(begin * FRAME, (begin + 30) * FRAME)
    if gop == 30:
        log.segment()
    log.pictures([sample.replace(dts=sample.dts + 60 * FRAME) for sample in encoded.samples[30:40]])
    outputs = run_in_modes([(log.chunks[:1], paused), (log.chunks[1:7], paused), (log.chunks[7:], ())])
    found = of(outputs, "90p")
    assert_whole(found)
    assert {msn for msn, _, _ in gaps(found)} == {0, 1, 2}
    shown = frames(found)
    assert (shown[0].pts, shown[0].key) == (90 * FRAME, True)
    levels = [bytes(picture.planes[0])[0] for picture in decoded(found)]
    assert abs(levels[0] - level_of(29)) <= 3
    assert abs(levels[-1] - level_of(39)) <= 3
    assert [one.pts // FRAME for one in shown if one.pts >= 120 * FRAME] == list(range(120, 130))


def decoded(found: list[Output]) -> list[VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = x264_lineup(next(one for one in RUNGS if one.name == found[0].rung)).open().config
    packets = [av.Packet(bytes(sample.data)) for sample in frames(found)]
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def test_gaps_stay_gaps_for_who_never_had_a_picture() -> None:
    """As for a successor that begins in the middle of them."""
    outputs, _ = run(stopped(30).chunks[3:])
    for rung in ("90p", "60p"):
        found = of(outputs, rung)
        assert_whole(found)
        assert gaps(found) == [
            (1, 30 * FRAME, PART), (1, 30 * FRAME + PART, PART), (1, 30 * FRAME + 2 * PART, 27_000)
        ]  # fmt: skip


def test_pictures_that_go_on_in_the_middle_of_a_gop_are_decoded() -> None:
    outputs, control = run(stopped(90).chunks)
    assert control.damaged == 0
    for rung, step in (("90p", 1), ("60p", 2)):
        found = of(outputs, rung)
        assert_whole(found)
        assert {output.header.msn for output in found} == {0, 1}
        shown = frames(found)
        came = [one.pts // FRAME for one in shown if not 30 * FRAME <= one.pts < 60 * FRAME]
        assert came == [*range(0, 30, step), *range(60, 90, step)]
        assert [one.pts for one in shown if one.key] == [0, 30 * FRAME]


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_successor_goes_on_in_the_middle_of_what_is_missing(kept: int) -> None:
    log = stopped(30)
    whole, _ = run(log.chunks)
    head = [of(whole, rung.name) for rung in RUNGS]
    before = [
        [o for o in found if o.header.msn < 1 or (o.header.part < kept and o.header.msn == 1)] for found in head
    ]
    positions = {found[-1].rung: RungPosition(found[-1].header, 9, found[-1].source_sequence) for found in before}
    assert {found[-1].source_sequence for found in before} == {4}
    after, _ = run(log.chunks[3:], positions)
    for found in before:
        both = found + of(after, found[-1].rung)
        assert_whole(both)
        parts = [(o.header.msn, o.header.part) for o in both]
        assert sorted(set(parts)) == sorted({(o.header.msn, o.header.part) for o in of(whole, both[0].rung)})


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize(("gop", "paused"), [(30, ()), (90, ()), (90, ("60p",)), (30, ("90p", "60p"))])
def test_pictures_that_came_too_late_are_decoded_and_not_shown(
    gop: int, paused: tuple[str, ...], reordered: bool
) -> None:
    encoded = reordered_source(90, gop) if reordered else picture_source("libx264", 90, gop)
    samples, cts = encoded.samples, encoded.samples[0].cts
    log = Log(encoded.form)
    log.segment()
    for at in range(0, 30, 10):
        log.pictures(samples[at : at + 10])
    log.segment()
    log.missing(30 * FRAME, 60 * FRAME)
    late = LatePictures()
    for sample in samples[:30]:
        assert late.fit(sample, 0) == sample
    for sample in samples[30:60]:
        assert not late.hold(sample, 60 * FRAME)
    came = late.before(samples[60], 60 * FRAME)
    for sample in samples[60:]:
        came.append(late.fit(sample, came[-1].end if came else 60 * FRAME))
    if came[0].key:
        log.segment()
    log.pictures(came[:-20])
    log.pictures(came[-20:-10])
    log.pictures(came[-10:])
    outputs, control = run(log.chunks, paused=paused)
    assert control.damaged == 0
    for rung, step in (("90p", 1), ("60p", 2)):
        found = of(outputs, rung)
        assert_whole(found)
        ends = found[-1].header.dts + found[-1].header.duration
        assert abs(ends - 90 * FRAME - cts) <= 2 * FRAME
        if rung in paused:
            assert not frames(found)
            continue
        shown = frames(found)
        again = [one for one in shown if one.pts > 60 * FRAME + cts]
        assert len(again) in {30 // step - 2 * reordered, 30 // step - 1, 30 // step}
        assert all(abs(two.pts - one.pts - step * FRAME) <= 100 for one, two in pairwise(again))
        levels = [bytes(picture.planes[0])[0] for picture in decoded(found)]
        assert abs(levels[-1] - level_of(90 - step)) <= 3
