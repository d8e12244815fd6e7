"""The threads of one broadcast with a real encoder: exact boundaries, and a successor that continues exactly."""

import threading
from collections.abc import Iterator
from fractions import Fraction

import av
import pytest
from av.video.frame import VideoFrame

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.media.ladder import Rung
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.forms import VideoForm
from edge.transcode.pipeline import Pipeline
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import chunks_of, pass_through, picture_source
from tests.unit.transcode.lineups import x264_lineup

FRAME, GOP, SEGMENTS = 3000, 30, 3
SEGMENT = FRAME * GOP
CONFIG = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=SEGMENT, max_segment=4 * SEGMENT, given_boundaries=True
)
RUNG = Rung("90p", 160, 90, 100_000, (30, 1))
NOTHING = RungPosition(None, 0, 0)


@pytest.fixture(scope="module")
def source() -> list[SourceChunk]:
    """Three segments of a tiny source in chunks of three frames, as ingest appends them."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(30)
    encoder.flags |= 1 << 22
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"annexb=0:keyint={GOP}:scenecut=0",
    }
    encoder.open()
    samples = []
    for number in range(GOP * SEGMENTS):
        frame = VideoFrame(320, 180, "yuv420p")
        for plane, level in zip(frame.planes, (number * 2 % 200 + 16, 128, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.pts, frame.time_base = number * FRAME, encoder.time_base
        samples += [Sample(p.pts or 0, FRAME, 0, p.is_keyframe, bytes(p)) for p in encoder.encode(frame)]
    return list(_chunks(samples, VideoForm("h264", bytes(encoder.extradata or b""), (30, 1))))


def _chunks(samples: list[Sample], form: VideoForm) -> Iterator[SourceChunk]:
    for index in range(0, len(samples), 3):
        msn, within = divmod(index, GOP)
        part, chunk = divmod(within // 3, 3)
        first = samples[index]
        flags = ChunkFlag.INDEPENDENT if first.key else ChunkFlag.NONE
        pdt = 1_000_000_000 + first.dts * 100 // 9
        header = ChunkHeader(1, msn, part, chunk, index, flags, first.dts, 3 * FRAME, pdt, 0)
        yield SourceChunk(index + 1, header, fragment(1, index, first.dts, samples[index : index + 3]), form)


def transcode(
    chunks: list[SourceChunk], position: RungPosition = NOTHING, rung: Rung = RUNG
) -> tuple[list[Output], bytes]:
    """Every chunk that a worker starting at `position` appends, and its decoder configuration."""
    outputs: list[Output] = []
    failures: list[BaseException] = []
    worker = RungWorker(rung, x264_lineup(rung), CONFIG, position, outputs.append, failures.append)
    taken = threading.Semaphore(0)
    pipeline = Pipeline([worker], taken.release, failures.append)
    pass_through(pipeline, chunks)
    assert not failures
    return outputs, worker.config


def frames(outputs: list[Output]) -> list[Sample]:
    """The samples of the outputs in order."""
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def test_every_frame_once_with_a_key_frame_at_each_boundary(source: list[SourceChunk]) -> None:
    outputs, _ = transcode(source)
    samples = frames(outputs)
    assert [sample.dts for sample in samples] == [number * FRAME for number in range(GOP * SEGMENTS)]
    assert [sample.dts for sample in samples if sample.key] == [msn * SEGMENT for msn in range(SEGMENTS)]
    starts = [o.header for o in outputs if o.header.flags & ChunkFlag.INDEPENDENT]
    assert [header.msn for header in starts] == [0, 1, 2]
    assert all(header.part == 0 for header in starts)
    assert max(o.header.duration for o in outputs) <= CONFIG.part_target
    assert starts[1].pdt_us == 1_000_000_000 + SEGMENT * 100 // 9


def test_closing_chunks_end_each_segment(source: list[SourceChunk]) -> None:
    outputs, _ = transcode(source)
    ends = [o.header.msn for o in outputs if o.header.flags & ChunkFlag.LAST_OF_SEGMENT]
    assert ends == [0, 1, 2]


@pytest.mark.parametrize("published", [1, 2, 3, 5, 6, 7])
def test_a_successor_continues_exactly(source: list[SourceChunk], published: int) -> None:
    """Whatever the predecessor got into the log, the two together are one whole stream."""
    whole, config = transcode(source)
    before = whole[:published]
    last = before[-1]
    position = RungPosition(last.header, published, last.source_sequence)
    rest = [chunk for chunk in source if chunk.sequence >= last.source_sequence]
    after, successor_config = transcode(rest, position)
    assert successor_config == config, "the same initialisation segment"
    headers = [o.header for o in before + after]
    places = [(header.msn, header.part, header.chunk) for header in headers]
    assert places == [(o.header.msn, o.header.part, o.header.chunk) for o in whole]
    assert [header.serial for header in headers] == [o.header.serial for o in whole]
    samples = frames(before + after)
    assert [sample.dts for sample in samples] == [number * FRAME for number in range(GOP * SEGMENTS)]
    assert frames(after)[0].key, "an IDR at the first missing frame"


def test_a_successor_of_a_halved_rung_begins_its_segment_with_an_idr() -> None:
    """With an odd number of frames a segment's last one is said to last into the next segment."""
    source = picture_source("libx264", 45, 15)
    chunks = chunks_of(source.samples, source.form, segments=[0, 15, 30])
    rung = Rung("90p", 160, 90, 100_000, (15, 1))
    whole, _ = transcode(chunks, rung=rung)
    ends = [index for index, o in enumerate(whole) if o.header.flags & ChunkFlag.LAST_OF_SEGMENT]
    last = whole[ends[0]]
    after, _ = transcode(chunks, RungPosition(last.header, 1, last.source_sequence), rung)
    assert [(o.header, len(o.data) > 0) for o in after] == [
        (o.header, len(o.data) > 0) for o in whole[ends[0] + 1 :]
    ]
    assert all(sample.data for sample in frames(after))


def test_half_the_frame_rate_drops_every_second_frame(source: list[SourceChunk]) -> None:
    outputs, _ = transcode(source, rung=Rung("90p", 160, 90, 100_000, (15, 1)))
    samples = frames(outputs)
    assert [sample.dts for sample in samples] == [number * FRAME for number in range(0, GOP * SEGMENTS, 2)]
    assert {sample.duration for sample in samples} == {2 * FRAME}


@pytest.mark.parametrize(("rate", "step"), [((30, 1), 1), ((25, 1), 1), ((15, 1), 2), ((7, 1), 4), ((0, 1), 1)])
def test_a_slower_rung_takes_one_of_so_many_frames(
    source: list[SourceChunk], rate: tuple[int, int], step: int
) -> None:
    outputs, _ = transcode(source, rung=Rung("90p", 160, 90, 100_000, rate))
    taken = [number for number in range(GOP * SEGMENTS) if number % GOP % step == 0]
    assert [sample.dts for sample in frames(outputs)] == [number * FRAME for number in taken]


def test_a_gap_in_the_source_is_a_gap_in_the_rung(source: list[SourceChunk]) -> None:
    header = ChunkHeader(2, 1, 0, 0, 30, ChunkFlag.GAP | ChunkFlag(6), SEGMENT, SEGMENT, 5, 0)
    gap = SourceChunk(500, header, b"", None)
    chunks = [*source[:10], gap, *source[20:]]
    outputs, _ = transcode(chunks)
    gaps = [o.header for o in outputs if o.header.flags & ChunkFlag.GAP]
    assert [(h.msn, h.dts, h.duration) for h in gaps] == [(1, SEGMENT, SEGMENT)]
    assert [sample.dts for sample in frames(outputs)] == [
        number * FRAME for number in range(GOP * SEGMENTS) if not GOP <= number < 2 * GOP
    ]


def test_damaged_access_units_do_not_stop_the_rest(source: list[SourceChunk]) -> None:
    broken = source[4]
    samples = [s.replace(data=b"\0\0\0\4junk") for s in read_fragments(broken.data)[0].samples]
    damaged = broken._replace(data=fragment(1, 4, broken.header.dts, samples))
    outputs, _ = transcode([*source[:4], damaged, *source[5:]])
    assert len(frames(outputs)) >= GOP * SEGMENTS - 3
    assert frames(outputs)[-1].dts == (GOP * SEGMENTS - 1) * FRAME
