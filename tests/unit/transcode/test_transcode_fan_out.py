"""Which picture a rung scales from: the source's, or that of a rung at least twice its size."""

import threading

import pytest
from av.video.frame import VideoFrame

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.transcode import RungMode
from edge.media.ladder import Rung
from edge.transcode import fan_out
from edge.transcode.chunks import Output
from edge.transcode.control import RungControl
from edge.transcode.engines.base import Encoded, Engine, RungFormat
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import X264
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, level_of, picture_source
from tests.unit.transcode.lineups import lineup_of
from tests.unit.transcode.test_transcode_sources import CONFIG, levels, samples_of

GOP = 15
SOURCE = (320, 180)
LARGE, MIDDLE, SMALL = (Rung(f"{h}p", w, h, 100_000, (30, 1)) for w, h in ((160, 90), (106, 60), (80, 44)))


class Looking(X264):
    """Notes the sizes of the pictures it is given."""

    def __init__(self, form: RungFormat, seen: set[tuple[int, int]]) -> None:
        super().__init__(form)
        self._seen = seen

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        self._seen.add((frame.width, frame.height))
        return super().encode(frame, key, sample_aspect)


@pytest.mark.parametrize(
    ("paused", "expected"),
    [
        ((), {LARGE.name: (160, 90), MIDDLE.name: SOURCE, SMALL.name: (160, 90)}),
        ((LARGE,), {MIDDLE.name: SOURCE, SMALL.name: SOURCE}),
        ((MIDDLE,), {LARGE.name: (160, 90), SMALL.name: (160, 90)}),
        ((MIDDLE, SMALL), {LARGE.name: SOURCE}),
    ],
)
def test_small_rungs_are_made_of_a_large_one(
    paused: tuple[Rung, ...], expected: dict[str, tuple[int, int]]
) -> None:
    source = picture_source("libx264", 2 * GOP, GOP)
    seen: dict[str, set[tuple[int, int]]] = {}
    outputs: list[Output] = []
    failures: list[BaseException] = []
    control = RungControl()
    control.wanted = {rung.name: RungMode.PAUSED for rung in paused}

    def worker(rung: Rung) -> RungWorker:
        def make(form: RungFormat) -> Engine:
            return Looking(form, seen.setdefault(rung.name, set()))

        lineup = lineup_of(rung, [Candidate("looking", make)])
        return RungWorker(rung, lineup, CONFIG, RungPosition(None, 0, 0), outputs.append, failures.append)

    workers = [worker(rung) for rung in (LARGE, MIDDLE, SMALL)]
    run_through(Pipeline(workers, threading.Semaphore(0).release, failures.append, control), source)
    assert not failures
    assert {name: sizes for name, sizes in seen.items() if sizes} == {n: {size} for n, size in expected.items()}
    for one in workers:
        if one.rung.name in expected:
            made = samples_of([output for output in outputs if output.rung == one.rung.name])
            assert [sample.dts for sample in made] == [index * FRAME for index in range(2 * GOP)]
            shown = levels(made, one.config)
            assert max(abs(shown[index] - level_of(index)) for index in range(2 * GOP)) <= 6


def run_through(pipeline, source) -> None:
    """Two segments of a source."""
    pipeline.start()
    for chunk in chunks_of(source.samples, source.form, segments=[0, GOP]):
        pipeline.put(chunk)
    pipeline.drain()
    pipeline.stop()


class Counting(Scaler):
    """Counts what it scales."""

    count = 0

    def scale(self, frame: VideoFrame, sample_aspect: tuple[int, int] = (1, 1)) -> VideoFrame:
        type(self).count += 1
        return super().scale(frame, sample_aspect)


def test_nothing_is_scaled_that_the_log_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A successor decodes from the key frame on, and the first frames are in every rung already."""
    monkeypatch.setattr(fan_out, "Scaler", Counting)
    source = picture_source("libx264", 2 * GOP, GOP)
    outputs: list[Output] = []
    failures: list[BaseException] = []
    last = ChunkHeader(0, 1, 0, 0, 3, ChunkFlag.LAST_OF_PART, GOP * FRAME, 10 * FRAME, 0, 0)
    workers = [
        RungWorker(
            rung,
            lineup_of(rung, [Candidate("x264", X264)]),
            CONFIG,
            RungPosition(last, 7, 1),
            outputs.append,
            failures.append,
        )
        for rung in (LARGE, SMALL)
    ]
    run_through(Pipeline(workers, threading.Semaphore(0).release, failures.append), source)
    assert not failures
    assert Counting.count == GOP - 10
    for one in workers:
        made = samples_of([output for output in outputs if output.rung == one.rung.name])
        assert [sample.dts for sample in made] == [index * FRAME for index in range(GOP + 10, 2 * GOP)]


def test_rungs_made_of_the_source_begin_while_it_is_scaled_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Noting(Scaler):
        def scale(self, frame: VideoFrame, sample_aspect: tuple[int, int] = (1, 1)) -> VideoFrame:
            order.append("scaled")
            return super().scale(frame, sample_aspect)

    def put(worker: RungWorker, item: object) -> None:
        order.append(worker.rung.name)

    monkeypatch.setattr(fan_out, "Scaler", Noting)
    monkeypatch.setattr(RungWorker, "put", put)
    position = RungPosition(None, 0, 0)
    workers = [
        RungWorker(one, lineup_of(one, [Candidate("x264", X264)]), CONFIG, position, lambda _: None, lambda _: None)
        for one in (LARGE, MIDDLE, SMALL)
    ]
    run_through(
        Pipeline(workers, threading.Semaphore(0).release, lambda _: None), picture_source("libx264", 2 * GOP, GOP)
    )
    for worker in workers:
        worker.close()
    assert order == [MIDDLE.name, "scaled", LARGE.name, SMALL.name] * (2 * GOP)
