"""B-frames and look-ahead: every frame once at its time, and a successor that continues with the same bytes."""

import io
import threading
from fractions import Fraction

import av
import pytest
from av.video.frame import VideoFrame

from appliance.contracts.media import ChunkFlag
from edge.media.ladder import Rung
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import VideoTrack, init_segment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.engines.base import EngineError, RungFormat
from edge.transcode.engines.catalogue import QUALITY, candidates
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.quality import QualityX264, delay_of
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import chunks_of, level_of, pass_through, picture_source
from tests.unit.transcode.lineups import lineup_of

FRAME, GOP, FRAMES, START = 3000, 40, 100, 30
CONFIG = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=GOP * FRAME, max_segment=4 * GOP * FRAME,
    given_boundaries=True,
)  # fmt: skip
RUNG = Rung("90p", 160, 90, 100_000, (30, 1))
NOTHING = RungPosition(None, 0, 0)
DELAY = 9000
TIMES = [(START + index) * FRAME for index in range(FRAMES)]


@pytest.fixture(scope="module")
def source() -> list[SourceChunk]:
    encoded = picture_source("libx264", FRAMES, GOP, start=START)
    return chunks_of(encoded.samples, encoded.form, segments=range(0, FRAMES, GOP))


def transcode(
    chunks: list[SourceChunk], position: RungPosition = NOTHING, first: Candidate = QUALITY
) -> tuple[list[Output], bytes]:
    """Every chunk that a worker starting at `position` appends, and its decoder configuration."""
    outputs: list[Output] = []
    failures: list[BaseException] = []
    engines = [first, *candidates(["x264"])]
    worker = RungWorker(RUNG, lineup_of(RUNG, engines), CONFIG, position, outputs.append, failures.append)
    taken = threading.Semaphore(0)
    pipeline = Pipeline([worker], taken.release, failures.append)
    pass_through(pipeline, chunks)
    assert not failures
    return outputs, worker.config


def decoded(outputs: list[Output], config: bytes) -> list[tuple[int, int]]:
    """Presentation time and grey of each picture that a player shows, in order."""
    init = init_segment(VideoTrack(config=config, width=RUNG.width, height=RUNG.height))
    data = init + b"".join(output.data for output in outputs)
    found = []
    with av.open(io.BytesIO(data), format="mp4") as file:
        for frame in file.decode(video=0):
            luma = frame.planes[0]
            middle = bytes(luma)[luma.line_size * 45 + 80]
            assert frame.pts is not None
            assert frame.time_base is not None
            found.append((round(frame.pts * frame.time_base * 90_000), middle))
    return found


def test_every_picture_once_at_its_time(source: list[SourceChunk]) -> None:
    outputs, config = transcode(source)
    shown = decoded(outputs, config)
    assert [pts for pts, _ in shown] == TIMES
    # the grey climbs with the number of the picture: no two have changed places
    assert all(abs(grey - level_of(index)) <= 6 for index, (_, grey) in enumerate(shown))


def test_frames_are_reordered_within_a_gop_and_never_over_its_border(source: list[SourceChunk]) -> None:
    outputs, _ = transcode(source)
    samples = [s for one in outputs if one.data for piece in read_fragments(one.data) for s in piece.samples]
    assert [sample.dts for sample in samples] == [pts - DELAY for pts in TIMES]
    assert any(sample.pts != pts for sample, pts in zip(samples, TIMES, strict=True)), "no B-frames"
    assert [index for index, sample in enumerate(samples) if sample.key] == [0, GOP, 2 * GOP]
    for first in range(0, FRAMES, GOP):
        gop = sorted(sample.pts for sample in samples[first : first + GOP])
        assert gop == TIMES[first : first + GOP]


def test_segments_last_as_long_as_those_of_the_source(source: list[SourceChunk]) -> None:
    outputs, _ = transcode(source)
    lasted: dict[int, int] = {}
    for output in outputs:
        lasted[output.header.msn] = lasted.get(output.header.msn, 0) + output.header.duration
    assert lasted == {0: GOP * FRAME, 1: GOP * FRAME, 2: (FRAMES - 2 * GOP) * FRAME}
    assert max(output.header.duration for output in outputs) <= CONFIG.part_target


@pytest.mark.parametrize("published", [1, 3, 5, 6, 8, 10])
def test_a_successor_continues_with_the_same_bytes(source: list[SourceChunk], published: int) -> None:
    whole, config = transcode(source)
    last = whole[published - 1]
    position = RungPosition(last.header, published, last.source_sequence)
    rest = [chunk for chunk in source if chunk.sequence >= last.source_sequence]
    after, successor = transcode(rest, position)
    assert successor == config
    assert [one.header for one in after] == [one.header for one in whole[published:]]
    media = [[s.data for piece in read_fragments(one.data) for s in piece.samples] for one in after if one.data]
    expected = [
        [s.data for piece in read_fragments(one.data) for s in piece.samples]
        for one in whole[published:]
        if one.data
    ]
    assert [[bytes(unit) for unit in part] for part in media] == [
        [bytes(unit) for unit in part] for part in expected
    ]


def test_a_hole_in_the_source_is_a_key_frame_and_no_frame_is_shown_before_it_is_decoded() -> None:
    encoded = picture_source("libx264", FRAMES, GOP, start=START)
    later = [
        sample.replace(dts=sample.dts + (0 if index < 15 else 5 * FRAME))
        for index, sample in enumerate(encoded.samples)
    ]
    outputs, config = transcode(chunks_of(later, encoded.form, segments=range(0, FRAMES, GOP)))
    samples = [s for one in outputs if one.data for piece in read_fragments(one.data) for s in piece.samples]
    assert all(sample.cts >= 0 for sample in samples)
    expected = [sample.dts for sample in later]
    assert sorted(sample.pts for sample in samples) == expected
    assert [pts for pts, _ in decoded(outputs, config)] == expected


def test_without_a_frame_rate_there_are_no_b_frames() -> None:
    form = RungFormat(160, 90, 100_000, (0, 1), "superfast")
    assert delay_of(form) == 0
    with pytest.raises(EngineError):
        QualityX264(form)


def test_the_delay_covers_slow_sources() -> None:
    assert delay_of(RungFormat(160, 90, 100_000, (60, 1), "")) == DELAY
    assert delay_of(RungFormat(160, 90, 100_000, (10, 1), "")) == 18_000
    assert delay_of(RungFormat(160, 90, 100_000, (1, 1), "")) == 0, "decode times would come before zero"


class _Dies(QualityX264):
    """Fails in mid-GOP."""

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list:
        if frame.pts is not None and frame.pts >= TIMES[60]:
            raise EngineError("gone")
        return super().encode(frame, key, sample_aspect)


def test_another_engine_goes_on_with_another_configuration(source: list[SourceChunk]) -> None:
    failures: list[BaseException] = []
    outputs: list[Output] = []
    engines = [Candidate("dies", _Dies), *candidates(["x264"])]
    worker = RungWorker(RUNG, lineup_of(RUNG, engines), CONFIG, NOTHING, outputs.append, failures.append)
    pipeline = Pipeline([worker], lambda: None, failures.append)
    pipeline.start()
    for chunk in source:
        pipeline.put(chunk)
    pipeline.stop()
    assert [type(one) for one in failures] == [EngineError], "nobody announces the other configuration here"
    assert not any(one.header.flags & ChunkFlag.GAP for one in outputs)
    assert Fraction(sum(one.header.duration for one in outputs), FRAME) >= GOP
