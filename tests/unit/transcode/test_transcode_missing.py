"""Rungs of a source whose pictures stop for a while, as parts without media, with a real encoder."""

from itertools import pairwise

import pytest

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.transcode import RungMode
from edge.media.ladder import Rung
from edge.media.segmenter import SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.control import RungControl
from edge.transcode.forms import VideoForm
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import FRAME, PDT, picture_source
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
    pipeline.start()
    for chunk in chunks:
        pipeline.put(chunk)
    pipeline.drain()
    pipeline.stop()
    assert not failures
    return outputs, control


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
    samples = [sample._replace(cts=cts) for sample in encoded.samples]
    later = [sample._replace(dts=sample.dts + 30 * FRAME) for sample in samples[30:]]
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


@pytest.mark.parametrize("cts", [0, 2 * FRAME])
@pytest.mark.parametrize("paused", [(), ("90p",), ("90p", "60p")])
def test_rungs_have_the_gaps_of_the_source(cts: int, paused: tuple[str, ...]) -> None:
    outputs, _ = run(stopped(30, cts=cts).chunks, paused=paused)
    begin, end = 30 * FRAME + cts, 60 * FRAME + cts
    for rung, step in (("90p", 1), ("60p", 2)):
        found = of(outputs, rung)
        assert_whole(found)
        wanted = [(1, begin, PART), (1, begin + PART, PART), (1, begin + 2 * PART, end - begin - 2 * PART)]
        if rung in paused:
            assert not frames(found)
            assert [one for one in gaps(found) if one[0] == 1] == wanted
            continue
        assert gaps(found) == wanted
        shown = frames(found)
        assert [one.pts // FRAME - cts // FRAME for one in shown] == [*range(0, 30, step), *range(60, 90, step)]
        assert [one.pts - cts for one in shown if one.key] == [0, 60 * FRAME]


def test_pictures_that_go_on_in_the_middle_of_a_gop_are_decoded() -> None:
    outputs, control = run(stopped(90).chunks)
    assert control.damaged == 0
    for rung, step in (("90p", 1), ("60p", 2)):
        found = of(outputs, rung)
        assert_whole(found)
        assert {output.header.msn for output in found} == {0, 1}
        shown = frames(found)
        assert [one.pts // FRAME for one in shown] == [*range(0, 30, step), *range(60, 90, step)]
        assert [one.pts for one in shown if one.key] == [0, 60 * FRAME]


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
        assert [(o.header.msn, o.header.part, o.header.chunk) for o in both] == [
            (o.header.msn, o.header.part, o.header.chunk) for o in of(whole, found[-1].rung)
        ]
