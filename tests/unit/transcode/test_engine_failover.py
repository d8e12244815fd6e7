"""An encoder process that is killed in mid-segment: the next engine goes on, and every frame is accounted for."""

import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.media.ladder import Rung
from edge.protocols.fmp4 import Sample, read_fragments
from edge.transcode.announcing import change_segment
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.engines.base import Encoded, Engine, EngineError, RungFormat
from edge.transcode.engines.catalogue import X264_CHILD, candidates
from edge.transcode.engines.child import ChildEngine
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.x264 import X264
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import InitUse, RungWorker
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, level_of, picture_source
from tests.unit.transcode.lineups import lineup_of
from tests.unit.transcode.test_transcode_sources import CONFIG, NOTHING

FRAMES, GOP = 60, 15
RUNG = Rung("90p", 160, 90, 200_000, (30, 1))
LOWER = Rung("60p", 106, 60, 100_000, (30, 1))
KILLED_AT = 24  # a frame in the middle of segment 1


class Killable:
    """An x264 in a child process that can be killed while the rung uses it."""

    def __init__(self, *, profile: str = "high") -> None:
        recipe = X264_CHILD
        if profile != "high":
            recipe = recipe._replace(encoder=lambda form: [*X264_CHILD.encoder(form), "-profile:v", profile])
        self.candidate = Candidate("x264-child", lambda form: self._make(recipe, form))
        self.engines: list[ChildEngine] = []

    def _make(self, recipe: object, form: RungFormat) -> Engine:
        self.engines.append(ChildEngine(recipe, form))  # type: ignore[arg-type]
        return self.engines[-1]

    def kill(self) -> None:
        os.kill(self.engines[-1].pid, signal.SIGKILL)


class Site:
    """A job's threads without its log."""

    def __init__(self, change: Callable[[bytes], InitUse] | None = None) -> None:
        self.outputs: dict[str, list[Output]] = {}
        self.failures: list[BaseException] = []
        self.configs: list[bytes] = []
        self._change = change
        self._taken = threading.Semaphore(0)

    def worker(self, rung: Rung, engines: list[Candidate], position: RungPosition = NOTHING) -> RungWorker:
        outputs = self.outputs.setdefault(rung.name, [])
        lineup = lineup_of(rung, engines, "superfast")
        change = self._announce if self._change is not None else None
        return RungWorker(rung, lineup, CONFIG, position, outputs.append, self.failures.append, change)

    def _announce(self, config: bytes) -> InitUse:
        self.configs.append(config)
        assert self._change is not None
        return self._change(config)

    def run(self, workers: list[RungWorker], chunks: list[SourceChunk], kill: Callable[[], None]) -> None:
        """Everything through the pipeline; `kill` is called when the first part of segment 1 is out."""
        pipeline = Pipeline(workers, self._taken.release, self.failures.append)
        pipeline.start()
        for chunk in chunks:
            pipeline.put(chunk)
            if chunk.header.dts == KILLED_AT * FRAME:
                self._wait(lambda: all(self._has(rung, 1) for rung in self.outputs))
                kill()
        pipeline.drain()
        pipeline.stop()

    def _has(self, rung: str, msn: int) -> bool:
        return any(output.header.msn == msn for output in self.outputs[rung]) or bool(self.failures)

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline, self.outputs
            time.sleep(0.005)


def source() -> list[SourceChunk]:
    made = picture_source("libx264", FRAMES, GOP)
    return chunks_of(made.samples, made.form, segments=list(range(0, FRAMES, GOP)))


def samples_of(outputs: list[Output]) -> list[Sample]:
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def numbers(samples: list[Sample]) -> list[int]:
    return [sample.dts // FRAME for sample in samples]


def assert_shown(samples: list[Sample], config: bytes) -> None:
    """Every sample decodes, to the grey of its picture."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = config, 1
    shown = [one for s in samples for one in decoder.decode(av.Packet(bytes(s.data)))] + decoder.decode(None)
    planes = [picture.planes[0] for picture in shown]
    levels = [bytes(plane)[plane.line_size * 20 + 40] for plane in planes]
    assert len(levels) == len(samples)
    expected = [level_of(number) for number in numbers(samples)]
    assert max(abs(level - wanted) for level, wanted in zip(levels, expected, strict=True)) <= 6


def test_the_same_parameter_sets_go_on_in_the_same_segment() -> None:
    """A second child takes over: nothing is missing, in the rung that lost its encoder or in the other."""
    site, killable = Site(), Killable()
    workers = [
        site.worker(RUNG, [killable.candidate, *candidates(["x264-child"])]),
        site.worker(LOWER, candidates(["x264"])),
    ]
    configs = [worker.config for worker in workers]
    site.run(workers, source(), killable.kill)
    assert site.failures == []
    for rung, config in zip((RUNG, LOWER), configs, strict=True):
        samples = samples_of(site.outputs[rung.name])
        assert numbers(samples) == list(range(FRAMES))
        assert set(range(0, FRAMES, GOP)) <= set(numbers([s for s in samples if s.key]))
        assert_shown(samples, config)
    keys = set(numbers([s for s in samples_of(site.outputs[RUNG.name]) if s.key])) - set(range(0, FRAMES, GOP))
    assert len(keys) == 1, "an IDR at the first frame that was missing, and nowhere else"
    assert GOP < keys.pop() <= KILLED_AT + 3
    places = [[(o.header.msn, o.header.part, o.header.serial, o.header.init) for o in site.outputs[one]] for one in
              (RUNG.name, LOWER.name)]  # fmt: skip
    assert places[0] == places[1], "cut as if nothing had happened"
    assert not Path(f"/proc/{killable.engines[0].pid}").exists()


def test_other_parameter_sets_begin_with_the_segment_that_was_announced() -> None:
    """GAP parts until there: every part comes, their times are true, and what is listed decodes with its init."""
    site, killable = Site(lambda _: InitUse(1, 3, 0)), Killable(profile="main")
    worker = site.worker(RUNG, [killable.candidate, *candidates(["x264"])])
    before = worker.config
    worker.use = InitUse(0)
    site.run([worker], source(), killable.kill)
    assert site.failures == []
    outputs = site.outputs[RUNG.name]
    headers = [output.header for output in outputs]
    media = [output for output in outputs if output.data]
    missing = [header for header in headers if header.flags & ChunkFlag.GAP]
    assert {header.msn for header in missing} == {1, 2}
    assert sum(header.duration for header in headers) == FRAMES * FRAME
    assert all(one.dts + one.duration == two.dts for one, two in pairwise(headers))
    assert max(header.duration for header in headers) <= CONFIG.part_target
    serials = [header.serial for header in headers if header.duration]
    assert serials == list(range(len(serials)))
    assert not any(output.data for output in outputs if output.header.flags & ChunkFlag.GAP)
    assert [header.init for header in headers] == [0 if header.msn < 3 else 1 for header in headers]
    assert [h.msn for h in headers if h.flags & ChunkFlag.DISCONTINUITY] == [3]
    old = samples_of([output for output in media if output.header.init == 0])
    new = samples_of([output for output in media if output.header.init == 1])
    assert numbers(old) == list(range(len(old)))
    assert GOP < len(old) <= KILLED_AT + 3
    assert numbers(new) == list(range(3 * GOP, FRAMES))
    assert new[0].key
    assert_shown(old, before)
    assert_shown(new, site.configs[0])
    assert len(site.configs) == 1


def test_a_successor_waits_for_the_announced_segment_too() -> None:
    """The worker died after its encoder: whoever takes over fills the same parts and begins at the same segment."""
    site, killable = Site(lambda _: InitUse(1, 3, 0)), Killable(profile="main")
    worker = site.worker(RUNG, [killable.candidate, *candidates(["x264"])])
    site.run([worker], source(), killable.kill)
    whole = site.outputs[RUNG.name]
    gap = next(index for index, o in enumerate(whole) if o.header.flags & ChunkFlag.GAP)
    for published in (gap, gap + 1, gap + 2):
        last = whole[published - 1]
        after = Site()
        successor = after.worker(RUNG, candidates(["x264"]), RungPosition(last.header, 1, last.source_sequence))
        successor.use = InitUse(1, 3, 0)
        rest = [chunk for chunk in source() if chunk.sequence >= last.source_sequence]
        after.outputs[RUNG.name].append(whole[gap])  # segment 1 is there already: nothing is waited for
        after.run([successor], rest, lambda: None)
        made = [output.header for output in after.outputs[RUNG.name][1:]]
        assert made == [output.header for output in whole[published:]]


def test_a_job_fails_when_no_engine_is_left() -> None:
    site, killable = Site(), Killable()
    worker = site.worker(RUNG, [killable.candidate])
    site.run([worker], source(), killable.kill)
    [failure] = site.failures
    assert isinstance(failure, EngineError)
    assert "SIGKILL" in failure.detail


def test_a_job_fails_when_the_change_cannot_be_announced() -> None:
    def away(_: bytes) -> InitUse:
        raise UnavailableError("the log does not answer")

    site, killable = Site(away), Killable(profile="main")
    worker = site.worker(RUNG, [killable.candidate, *candidates(["x264"])])
    site.run([worker], source(), killable.kill)
    assert [str(failure) for failure in site.failures] == ["the log does not answer"]


class _Dropping(X264):
    """Loses the 20th frame."""

    def encode(self, frame: av.VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        units = super().encode(frame, key, sample_aspect)
        return [] if frame.pts == 20 * FRAME else units


class _Swallowing(X264):
    """Answers nothing any more after the 40th frame."""

    def encode(self, frame: av.VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        units = super().encode(frame, key, sample_aspect)
        return [] if (frame.pts or 0) > 40 * FRAME else units


class _Keyless(X264):
    """Forgets the demand at the 30th frame."""

    def encode(self, frame: av.VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        return super().encode(frame, key and frame.pts != 30 * FRAME, sample_aspect)


@pytest.mark.parametrize("broken", [_Dropping, _Swallowing, _Keyless])
def test_an_engine_that_loses_frames_or_demands_is_replaced(broken: type[X264]) -> None:
    site = Site()
    worker = site.worker(RUNG, [Candidate("broken", broken), *candidates(["x264"])])
    site.run([worker], source(), lambda: None)
    assert site.failures == []
    samples = samples_of(site.outputs[RUNG.name])
    assert numbers(samples) == list(range(FRAMES))
    assert set(range(0, FRAMES, GOP)) <= set(numbers([s for s in samples if s.key]))
    assert_shown(samples, worker.config)


@pytest.mark.parametrize(
    ("part", "flags", "expected"),
    [
        (0, ChunkFlag.LAST_OF_PART, 8),
        (2, ChunkFlag.NONE, 8),
        (3, ChunkFlag.NONE, 9),
        (5, ChunkFlag.NONE, 9),
        (1, ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT, 9),
    ],
)
def test_a_change_begins_where_nobody_has_begun(part: int, flags: ChunkFlag, expected: int) -> None:
    newest = ChunkHeader(1, 7, part, 0, 50, flags, 90_000, 9_000, 0, 0)
    assert change_segment(newest, 0.35, 2.0) == expected
