"""Rungs that stop and start where segments meet, with a real encoder."""

import threading
from collections.abc import Mapping
from itertools import pairwise

import pytest

from appliance.contracts.media import ChunkFlag
from appliance.contracts.transcode import RungMode
from edge.media.ladder import Rung
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.control import RungControl
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, picture_source
from tests.unit.transcode.lineups import x264_lineup

GOP, SEGMENTS = 15, 6
SEGMENT = GOP * FRAME
CONFIG = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=SEGMENT, max_segment=4 * SEGMENT, given_boundaries=True
)
RUNGS = [Rung("90p", 160, 90, 100_000, (30, 1)), Rung("60p", 106, 60, 60_000, (30, 1))]
NOTHING = RungPosition(None, 0, 0)
P, R, H = RungMode.PAUSED, RungMode.RUNNING, RungMode.HALVED
Modes = Mapping[str, RungMode]


@pytest.fixture(scope="module")
def source() -> list[SourceChunk]:
    """Six segments of half a second, one chunk for every three frames."""
    encoded = picture_source("libx264", SEGMENTS * GOP, GOP)
    return chunks_of(encoded.samples, encoded.form, segments=range(0, SEGMENTS * GOP, GOP))


class Run:
    """A pipeline that is told modes between segments, each when the one before has been worked off."""

    def __init__(self, positions: Mapping[str, RungPosition] | None = None) -> None:
        self.outputs: list[Output] = []
        self.failures: list[BaseException] = []
        self.control = RungControl()
        self.ended = threading.Event()
        rungs = [
            RungWorker(
                rung, x264_lineup(rung), CONFIG, (positions or {}).get(rung.name, NOTHING),
                self.outputs.append, self.failures.append,
            )
            for rung in RUNGS
        ]  # fmt: skip
        self._taken = threading.Semaphore(0)
        self.pipeline = Pipeline(rungs, self._taken.release, self.failures.append, self.control, self.ended.set)
        self.pipeline.start()

    def feed(self, chunks: list[SourceChunk], modes: Modes) -> None:
        self.control.wanted = modes
        for chunk in chunks:
            self.pipeline.put(chunk)
        for _ in chunks:
            assert self._taken.acquire(timeout=10)

    def stop(self) -> None:
        self.pipeline.stop()
        assert not self.failures

    def of(self, rung: str) -> list[Output]:
        return [output for output in self.outputs if output.rung == rung]


def segment(source: list[SourceChunk], msn: int) -> list[SourceChunk]:
    return [chunk for chunk in source if chunk.header.msn == msn]


def frames(outputs: list[Output]) -> list[Sample]:
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def run(source: list[SourceChunk], modes: list[Modes]) -> Run:
    """Each segment under its modes. Decoding has no delay here: what is set before a segment counts for it."""
    made = Run()
    for msn, wanted in enumerate(modes):
        made.feed(segment(source, msn), wanted)
    made.pipeline.drain()
    made.stop()
    return made


def whole(found: list[Output]) -> None:
    """Numbers without a hole, times without a hole, serials that count the parts."""
    headers = [output.header for output in found]
    assert [header.msn for header in headers] == sorted(header.msn for header in headers)
    assert {header.msn for header in headers} == set(range(SEGMENTS))
    parts = [header for header in headers if not header.is_gap_segment]
    assert sorted({header.serial for header in parts}) == list(range(len({header.serial for header in parts})))
    for before, after in pairwise(headers):
        assert before.dts + before.duration == after.dts
    for msn in range(SEGMENTS):
        last = [header for header in headers if header.msn == msn][-1]
        assert last.flags & ChunkFlag.LAST_OF_SEGMENT


def cuts(found: list[Output]) -> list[tuple[int, ...]]:
    """Where its parts begin and how long they are."""
    headers = [output.header for output in found]
    return [(header.msn, header.part, header.serial, header.dts, header.duration) for header in headers]


def gaps(found: list[Output]) -> list[tuple[int, int]]:
    """Segment and part of each part without media."""
    return [(o.header.msn, o.header.part) for o in found if o.header.flags & ChunkFlag.GAP]


def test_a_paused_rung_has_gaps_for_parts_and_comes_back_with_a_key_frame(
    source: list[SourceChunk],
) -> None:
    made = run(source, [{}, {}, {"90p": P}, {"90p": P}, {}, {}])
    for rung in ("90p", "60p"):
        whole(made.of(rung))
    missing = [output for output in made.of("90p") if output.header.flags & ChunkFlag.GAP]
    assert gaps(missing) == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert not any(output.data or output.header.flags & ChunkFlag.INDEPENDENT for output in missing)
    assert cuts(made.of("90p")) == cuts(made.of("60p")), "as if it ran"
    shown = frames(made.of("90p"))
    assert [sample.dts for sample in shown] == [n * FRAME for n in range(90) if not 2 * GOP <= n < 4 * GOP]
    assert {0, SEGMENT, 4 * SEGMENT, 5 * SEGMENT} == {sample.dts for sample in shown if sample.key}
    assert len(frames(made.of("60p"))) == SEGMENTS * GOP, "the other rung knows nothing of it"


def test_nothing_is_decoded_while_every_rung_is_paused(source: list[SourceChunk]) -> None:
    both = {"90p": P, "60p": P}
    made = run(source, [{}, both, both, both, {"90p": P}, {}])
    for rung in ("90p", "60p"):
        whole(made.of(rung))
    assert gaps(made.of("60p")) == [(msn, part) for msn in (1, 2, 3) for part in (0, 1)]
    assert gaps(made.of("90p")) == [(msn, part) for msn in (1, 2, 3, 4) for part in (0, 1)]
    assert cuts(made.of("90p")) == cuts(made.of("60p"))
    assert len(frames(made.of("60p"))) == 3 * GOP
    usage = made.pipeline.usage()
    assert usage["decode"].media_s == pytest.approx(4 * GOP / 30), (
        "segment 1 was decoded: its frames were on their way"
    )


def test_a_rung_that_begins_paused(source: list[SourceChunk]) -> None:
    made = run(source, [{"90p": P}, {"90p": P}, {}, {}, {}, {}])
    whole(made.of("90p"))
    assert frames(made.of("90p"))[0].dts == 2 * SEGMENT
    assert frames(made.of("90p"))[0].key


def test_half_the_frames(source: list[SourceChunk]) -> None:
    made = run(source, [{}, {"90p": H}, {"90p": H}, {}, {}, {}])
    whole(made.of("60p"))
    times = [sample.dts // FRAME for sample in frames(made.of("90p"))]
    assert times == [*range(GOP), *range(GOP, 2 * GOP, 2), *range(2 * GOP, 3 * GOP, 2), *range(3 * GOP, 6 * GOP)]


def test_a_source_that_stops_while_a_rung_is_paused(source: list[SourceChunk]) -> None:
    made = Run()
    for msn in (0, 1):
        made.feed(segment(source, msn), {"90p": P})
    made.pipeline.drain()
    made.feed([], {})
    for msn in (2, 3, 4, 5):
        made.feed(segment(source, msn), {})
    made.pipeline.drain()
    made.stop()
    whole(made.of("90p"))


def test_parts_of_a_paused_rung_come_when_the_others_do(source: list[SourceChunk]) -> None:
    """Not when the segment is over: who waits for the next part is answered on time."""
    for modes in ({"90p": P}, {"90p": P, "60p": P}):
        made = Run()
        made.feed(segment(source, 0), modes)
        made.feed(segment(source, 1)[:4], modes)  # twelve of fifteen frames
        made.stop()
        assert gaps(made.of("90p")) == [(0, 0), (0, 1), (1, 0)]
        assert cuts(made.of("90p")) == cuts(made.of("60p"))


def test_half_of_a_paused_segment_is_gaps_when_a_successor_may_run_it(source: list[SourceChunk]) -> None:
    """It begins with an IDR where the log ends."""
    before = run(source, [{}, {"90p": P, "60p": P}, {}, {}, {}, {}]).of("90p")
    kept = [output for output in before if output.header.msn < 2][:-1]
    assert gaps(kept) == [(1, 0)]
    second = Run({"90p": RungPosition(kept[-1].header, 9, kept[-1].source_sequence)})
    second.feed([one for one in source if one.header.msn >= 1], {})
    second.pipeline.drain()
    second.stop()
    found = kept + second.of("90p")
    whole(found)
    assert gaps(found) == [(1, 0)]
    shown = frames(found)
    assert [s.dts // FRAME for s in shown] == [n for n in range(SEGMENTS * GOP) if not GOP <= n < GOP + 10]
    assert shown[GOP].key


def test_half_of_a_paused_segment_stays_gaps_under_a_successor_that_pauses_it(source: list[SourceChunk]) -> None:
    before = run(source, [{}, {"90p": P, "60p": P}, {}, {}, {}, {}]).of("90p")
    kept = [output for output in before if output.header.msn < 2][:-1]
    second = Run({"90p": RungPosition(kept[-1].header, 9, kept[-1].source_sequence)})
    second.feed([one for one in source if one.header.msn >= 1], {"90p": P})
    second.pipeline.drain()
    second.stop()
    whole(kept + second.of("90p"))
    assert len(frames(second.of("90p"))) == 0


def test_frames_shown_later_than_they_are_decoded_keep_their_times_whether_they_are_decoded() -> None:
    encoded = picture_source("libx264", SEGMENTS * GOP, GOP)
    later = [sample.replace(cts=2 * FRAME) for sample in encoded.samples]
    chunks = chunks_of(later, encoded.form, segments=range(0, SEGMENTS * GOP, GOP))
    both = {"90p": P, "60p": P}
    made = run(chunks, [{}, both, both, both, {}, {}])
    for rung in ("90p", "60p"):
        whole(made.of(rung))
    assert len(frames(made.of("90p"))) == 3 * GOP


def test_ends_where_segments_meet_and_a_successor_goes_on(source: list[SourceChunk]) -> None:
    first = Run()
    first.feed([*segment(source, 0), *segment(source, 1)[:2]], {"60p": P})
    first.control.ends = True
    first.feed(segment(source, 1)[2:], {"60p": P})
    assert not first.ended.is_set()
    first.feed([*segment(source, 2), *segment(source, 3)], {"60p": P})
    assert first.ended.is_set()
    first.stop()
    last = {rung.name: first.of(rung.name)[-1] for rung in RUNGS}
    assert {output.header.msn for output in last.values()} == {1}
    second = Run({name: RungPosition(one.header, 9, one.source_sequence) for name, one in last.items()})
    second.feed([one for one in source if one.header.msn >= 2], {})
    second.pipeline.drain()
    second.stop()
    for rung in RUNGS:
        whole(first.of(rung.name) + second.of(rung.name))
    assert [s.dts for s in frames(first.of("90p") + second.of("90p"))] == [n * FRAME for n in range(SEGMENTS * GOP)]


def test_a_segment_that_was_begun_is_finished_before_the_pause(source: list[SourceChunk]) -> None:
    """A worker dies in the middle of a segment of a rung that its successor is to pause."""
    before = run(source, [{}] * SEGMENTS).of("90p")
    kept = [output for output in before if output.header.msn < 2][:-1]
    assert not kept[-1].header.flags & ChunkFlag.LAST_OF_SEGMENT
    assert kept[-1].header.msn == 1
    second = Run({"90p": RungPosition(kept[-1].header, 9, kept[-1].source_sequence)})
    second.feed([one for one in source if one.header.msn >= 1], {"90p": P})
    second.pipeline.drain()
    second.stop()
    whole(kept + second.of("90p"))
    assert [s.dts for s in frames(kept + second.of("90p"))] == [n * FRAME for n in range(2 * GOP)]
