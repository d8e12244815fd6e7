"""Sources of every codec, cut where there is no key frame, changing in mid-stream: whole rungs all the same."""

import threading
from collections.abc import Sequence

import av
import pytest

from appliance.contracts.media import ChunkFlag, Init, VideoFormat
from edge.media.ladder import Rung
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, VideoTrack, init_segment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.engines.scaler import Scaler
from edge.transcode.forms import SourceError, VideoForm, video_form
from edge.transcode.pipeline import Pipeline
from edge.transcode.reader import Lead
from edge.transcode.resume import RungPosition
from edge.transcode.rung import RungWorker
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, gap_chunk, grey, level_of, picture_source
from tests.unit.transcode.lineups import x264_lineup

CONFIG = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=90_000, max_segment=900_000, given_boundaries=True
)
RUNG = Rung("90p", 160, 90, 200_000, (30, 1))
NOTHING = RungPosition(None, 0, 0)


def transcode(
    chunks: Sequence[SourceChunk], position: RungPosition = NOTHING, rung: Rung = RUNG
) -> tuple[list[Output], bytes]:
    """What a worker appends that starts at `position`, reading as the job's reader does."""
    outputs: list[Output] = []
    failures: list[BaseException] = []
    worker = RungWorker(rung, x264_lineup(rung), CONFIG, position, outputs.append, failures.append)
    pipeline = Pipeline([worker], threading.Semaphore(0).release, failures.append)
    pipeline.start()
    lead = Lead(position.first_msn)
    for chunk in chunks:
        if chunk.sequence >= position.source_sequence:
            for one in lead.take(chunk):
                pipeline.put(one)
    pipeline.drain()
    pipeline.stop()
    assert not failures, failures
    return outputs, worker.config


def samples_of(outputs: list[Output]) -> list[Sample]:
    return [s for output in outputs if output.data for piece in read_fragments(output.data) for s in piece.samples]


def levels(samples: list[Sample], config: bytes) -> list[int]:
    """The grey in the middle of each picture."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = config
    decoder.thread_count = 1
    pictures = []
    for sample in samples:
        packet = av.Packet(bytes(sample.data))
        packet.pts = packet.dts = sample.dts
        pictures += decoder.decode(packet)
    pictures += decoder.decode(None)
    return [bytes(p.planes[0])[p.planes[0].line_size * (p.height // 2) + p.width // 2] for p in pictures]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "libvpx"])
def test_every_codec_becomes_h264_picture_for_picture(codec: str) -> None:
    source = picture_source(codec, 40, 20)
    outputs, config = transcode(chunks_of(source.samples, source.form, segments=[0, 20]))
    samples = samples_of(outputs)
    assert [sample.dts for sample in samples] == [index * FRAME for index in range(40)]
    assert [sample.dts for sample in samples if sample.key] == [0, 20 * FRAME]
    shown = levels(samples, config)
    assert max(abs(shown[index] - level_of(index)) for index in range(40)) <= 6


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("published", [1, 2, 3, 4, 5])
def test_forced_cuts_and_a_successor(codec: str, published: int) -> None:
    """Segments at 15 and 30 begin without a key frame: the rung has one there, whoever makes it."""
    source = picture_source(codec, 45, 100)
    chunks = chunks_of(source.samples, source.form, segments=[0, 15, 30])
    whole, config = transcode(chunks)
    assert [s.dts // FRAME for s in samples_of(whole) if s.key] == [0, 15, 30]
    assert {output.source_sequence for output in whole} == {1}, "decoding begins at the only key frame"
    last = whole[published - 1]
    after, _ = transcode(chunks, RungPosition(last.header, published, last.source_sequence))
    both = whole[:published] + after
    assert [(o.header.msn, o.header.part, o.header.chunk, o.header.serial) for o in both] == [
        (o.header.msn, o.header.part, o.header.chunk, o.header.serial) for o in whole
    ]
    samples = samples_of(both)
    assert [sample.dts for sample in samples] == [index * FRAME for index in range(45)]
    shown = levels(samples, config)
    assert max(abs(shown[index] - level_of(index)) for index in range(45)) <= 6


def test_a_new_codec_and_shape_in_mid_stream() -> None:
    """H.264 16:9, then HEVC 4:3: the rung keeps its size, the picture is fitted in."""
    first = picture_source("libx264", 15, 15)
    second = picture_source("libx265", 15, 15, (320, 240), start=15)
    chunks = chunks_of(first.samples, first.form, segments=[0])
    chunks += chunks_of(second.samples, second.form, segments=[0], first_msn=1, sequence=100)
    outputs, config = transcode(chunks)
    samples = samples_of(outputs)
    assert [sample.dts for sample in samples] == [index * FRAME for index in range(30)]
    shown = levels(samples, config)
    assert max(abs(shown[index] - level_of(index % 15)) for index in range(30)) <= 6


def test_a_faster_source_in_mid_stream_is_halved_to_the_rungs_rate() -> None:
    first = picture_source("libx264", 15, 15)
    fast = [s.replace(dts=15 * FRAME + index * 1500, duration=1500) for index, s in enumerate(first.samples)]
    chunks = chunks_of(first.samples, first.form, segments=[0])
    chunks += chunks_of(fast, first.form._replace(frame_rate=(60, 1)), segments=[0], first_msn=1, sequence=50)
    samples = samples_of(transcode(chunks)[0])
    assert {sample.duration for sample in samples} == {FRAME}
    assert [sample.dts // FRAME for sample in samples] == list(range(23))


def test_segments_that_nothing_decodes_for_are_gaps() -> None:
    """A worker that finds no key frame at the start begins at the next one, and every msn exists."""
    source = picture_source("libx264", 45, 30)
    chunks = [one for one in chunks_of(source.samples, source.form, segments=[0, 10, 20, 30]) if one.header.msn]
    outputs, _ = transcode(chunks)
    headers = [output.header for output in outputs]
    assert [(h.msn, h.dts // FRAME) for h in headers if h.flags & ChunkFlag.GAP] == [(1, 10), (2, 20)]
    assert [s.dts // FRAME for s in samples_of(outputs)] == list(range(30, 45))


def test_chunks_without_a_decoder_are_left_out() -> None:
    source = picture_source("libx264", 20, 10)
    chunks = chunks_of(source.samples, source.form, segments=[0, 10])
    unknown = [one._replace(form=None) if one.header.msn == 0 else one for one in chunks]
    assert [s.dts // FRAME for s in samples_of(transcode(unknown)[0])] == list(range(10, 20))


def test_what_lies_before_the_first_wanted_segment_is_read_only_for_forced_cuts() -> None:
    source = picture_source("libx264", 40, 20)
    chunks = chunks_of(source.samples, source.form, segments=[0, 10, 20, 30], per_chunk=10)
    assert [one.header.msn for one in _led(Lead(2), chunks)] == [2, 3], "a key frame: nothing before it is needed"
    assert [one.header.msn for one in _led(Lead(3), chunks)] == [2, 3], "from the key frame before the cut"
    assert [one.header.msn for one in _led(Lead(9, limit=1), chunks)] == [0, 1, 2, 3], "bounded"
    gap = gap_chunk(2, 0, 1, 90)
    assert [one.header.msn for one in _led(Lead(3), [*chunks[:2], gap, chunks[3]])] == [2, 3]


def _led(lead: Lead, chunks: Sequence[SourceChunk]) -> list[SourceChunk]:
    return [one for chunk in chunks for one in lead.take(chunk)]


@pytest.mark.parametrize(
    ("size", "aspect", "inner"),
    [
        ((320, 180), (1, 1), (0, 0)),
        ((322, 180), (1, 1), (0, 0)),
        ((240, 180), (4, 3), (0, 0)),
        ((240, 180), (1, 1), (20, 0)),
        ((180, 320), (1, 1), (55, 0)),
        ((640, 180), (1, 1), (0, 22)),
        ((320, 180), (0, 0), (0, 0)),
    ],
)
def test_another_shape_is_fitted_in(size: tuple[int, int], aspect: tuple[int, int], inner: tuple[int, int]) -> None:
    scaled = Scaler(160, 90).scale(grey(size, 200, 7), aspect)
    assert (scaled.width, scaled.height, scaled.pts) == (160, 90, 7)
    plane = scaled.planes[0]
    data = bytes(plane)
    across = data[45 * plane.line_size : 45 * plane.line_size + 160]
    down = [data[line * plane.line_size + 80] for line in range(90)]
    borders = sum(1 for level in across[:80] if level < 60), sum(1 for level in down[:45] if level < 60)
    assert abs(borders[0] - inner[0]) <= 2
    assert abs(borders[1] - inner[1]) <= 2
    assert data[45 * plane.line_size + 80] > 190


def test_the_form_of_an_own_initialisation_segment() -> None:
    source = picture_source("libx264", 2, 2)
    data = init_segment(VideoTrack(config=source.form.extradata, width=320, height=180, sample_aspect=(4, 3)))
    described = VideoFormat(codec="avc1.42c00d", width=320, height=180, frame_rate=(25, 1), sample_aspect=(4, 3))
    form = video_form(Init(init=0, data=data, video=described))
    assert form == VideoForm("h264", source.form.extradata, (25, 1), (4, 3), (320, 180))


@pytest.mark.parametrize("data", [b"", b"stsd", b"stsd" + bytes(100), b"stsd" + bytes(12) + b"\0\0\0\x60avc1"])
def test_an_unreadable_initialisation_segment(data: bytes) -> None:
    with pytest.raises(SourceError):
        video_form(Init(init=0, data=data, video=VideoFormat(codec="x", width=2, height=2)))
