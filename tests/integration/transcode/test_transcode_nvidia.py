"""The card itself, on machines that have one: every codec, and whole ladders whose pictures stay on it."""

from functools import partial

import pytest

from appliance.contracts.transcode import RungMode
from edge.media.ladder import Rung
from edge.transcode.chunks import SourceChunk
from edge.transcode.decoders.bank import Bank
from edge.transcode.decoders.base import Wanted, video_packet
from edge.transcode.decoders.nvdec import NVDEC
from edge.transcode.engines import catalogue, probe
from edge.transcode.engines.choice import ZERO_COPY
from edge.transcode.engines.hardware import NVENC, HardwareEngine
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.scaler import in_memory
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, gap_chunk, level_of, picture_source
from tests.unit.transcode.stand_in_card import Ladder

GOP, MOST_LATE = 15, 2
LARGE, SMALL = Rung("360p", 640, 360, 800_000, (30, 1)), Rung("180p", 320, 180, 300_000, (30, 1))
SIZE = (1280, 720)


@pytest.mark.skipif(bool(catalogue.no_zero_copy()), reason="this machine has no NVIDIA device")
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "libvpx"])
def test_a_card_decodes_and_scales_each_codec(codec: str) -> None:
    """Cards differ in what they decode: of AV1 only newer ones."""
    source = picture_source(codec, 2 * GOP, GOP, SIZE)
    bank = Bank(
        NVDEC,
        source.form._replace(size=SIZE),
        [Wanted("card", (640, 360), True), Wanted("memory", (320, 180), False)],
    )
    shown = []
    for index, sample in enumerate(source.samples):
        shown += bank.decode(video_packet(bytes(sample.data), sample.pts, sample.dts, key=sample.key))
        assert index + 1 - len(shown) <= MOST_LATE
    shown += bank.decode(None)
    assert [picture.frame.pts for picture in shown] == [index * FRAME for index in range(2 * GOP)]
    for index, picture in enumerate(shown):
        for frame in map(in_memory, (picture.scaled or {}).values()):
            plane = frame.planes[0]
            level = bytes(plane)[plane.line_size * (frame.height // 2) + frame.width // 2]
            assert abs(level - level_of(index)) <= 6


@pytest.fixture(scope="module")
def zero_copy() -> None:
    test = probe.probe(ZERO_COPY)
    if not test.usable:
        pytest.skip(f"no zero copy on this machine: {test.reason}")


def ladder() -> Ladder:
    made = Ladder(NVDEC, (LARGE, SMALL))
    made.engines = {rung.name: [Candidate("nvenc", partial(HardwareEngine, NVENC))] for rung in (LARGE, SMALL)}
    return made


@pytest.mark.usefixtures("zero_copy")
def test_a_ladder_on_the_card_with_a_gap_and_another_size() -> None:
    chunks: list[SourceChunk] = []
    for msn, size in ((0, SIZE), (1, (1920, 1080)), (3, SIZE)):
        made = picture_source("libx264", GOP, GOP, size, start=msn * GOP)
        chunks += chunks_of(made.samples, made.form, segments=[0], first_msn=msn, sequence=100 * msn + 1)
        if msn == 1:
            chunks.append(gap_chunk(2, 2 * GOP * FRAME, GOP * FRAME, 250))
    made_ladder = ladder().run(chunks)
    for rung in (LARGE, SMALL):
        assert made_ladder.numbers(rung) == [*range(2 * GOP), *range(3 * GOP, 4 * GOP)]


@pytest.mark.usefixtures("zero_copy")
def test_a_rung_on_the_card_rests_and_comes_back() -> None:
    made, source = ladder(), picture_source("libx264", 5 * GOP, GOP, SIZE)

    def before(chunk: SourceChunk) -> None:
        paused = chunk.header.msn in (1, 2)
        made.control.wanted = {SMALL.name: RungMode.PAUSED if paused else RungMode.RUNNING}

    made.run(chunks_of(source.samples, source.form, segments=range(0, 5 * GOP, GOP)), before=before)
    made.assert_whole(5 * GOP, range(0, 5 * GOP, GOP), [LARGE])
    assert made.numbers(SMALL) == [*range(GOP), *range(3 * GOP, 5 * GOP)]
