"""Audio follows the video's segments."""

from appliance.contracts.media import ChunkFlag
from edge.media.audio_cutter import AudioCutter, Boundary
from edge.media.segmenter import Chunk
from edge.protocols.fmp4 import Sample


def frame(index: int) -> Sample:
    return Sample(index * 1024, 1024, 0, True, index.to_bytes(2, "big"))


def cutter(follows_video: bool = True) -> AudioCutter:
    return AudioCutter(48_000, part_target=16_800, segment_target=96_000, follows_video=follows_video)


def test_cut_at_video_boundaries() -> None:
    audio = cutter()
    audio.boundary(Boundary(3, 0))
    audio.boundary(Boundary(4, 180_000))
    chunks: list[Chunk] = []
    for index in range(150):
        chunks += audio.push(frame(index), pdt_us=0)
        chunks += audio.advance(index * 1920)
    chunks += audio.advance(1 << 40) + audio.finish()
    first_of_4 = next(chunk for chunk in chunks if chunk.msn == 4)
    assert first_of_4.dts == 94 * 1024  # the first frame at or after 2 s
    assert [len(chunk.samples) for chunk in chunks if chunk.msn == 3] == [16, 16, 16, 16, 16, 14]
    assert all(chunk.flags & ChunkFlag.INDEPENDENT for chunk in chunks if chunk.samples)
    assert sum(len(chunk.samples) for chunk in chunks) == 150
    assert {chunk.msn for chunk in chunks} == {3, 4}


def test_a_part_ends_with_the_video_s_unless_it_would_be_too_short() -> None:
    audio = cutter()
    audio.boundary(Boundary(0, 0))
    lengths: list[list[int]] = []
    for index in range(47):
        audio.push(frame(index), pdt_us=0)
    for watermark in (27_000, 57_000, 87_000):  # the last of ten pictures, 30 a second
        chunks = audio.advance(watermark, ends_part=True)
        assert all(chunk.flags & ChunkFlag.LAST_OF_PART for chunk in chunks)
        lengths.append([len(chunk.samples) for chunk in chunks])
    assert lengths == [[15], [15], [16]], "16 would be the most"
    audio = cutter()
    audio.boundary(Boundary(0, 0))
    for index in range(20):
        audio.push(frame(index), pdt_us=0)
    assert audio.advance(24_000, ends_part=True) == [], "13 of them are less than 85 percent of the target"


def test_waits_for_the_video_but_not_for_ever() -> None:
    audio = cutter()
    audio.boundary(Boundary(0, 0))
    chunks: list[Chunk] = audio.advance(0)
    for index in range(230):
        chunks += audio.push(frame(index), pdt_us=0)
    assert chunks == []
    for index in range(230, 270):
        chunks += audio.push(frame(index), pdt_us=0)
    assert sum(len(chunk.samples) for chunk in chunks) == 32


def test_video_that_comes_seconds_later_is_waited_for() -> None:
    audio = cutter()
    chunks: list[Chunk] = []
    for index in range(600):
        chunks += audio.push(frame(index), pdt_us=0)
        shown = index * 1024 * 90_000 // 48_000 - 3 * 90_000
        if shown >= 0:
            if shown // 180_000 != (shown - 1920) // 180_000:
                audio.boundary(Boundary(shown // 180_000, shown // 180_000 * 180_000))
            chunks += audio.advance(shown)
    starts: dict[int, int] = {}
    for chunk in chunks:
        starts.setdefault(chunk.msn, chunk.dts)
    assert list(starts) == [0, 1, 2, 3, 4]
    assert all(0 <= dts - msn * 96_000 < 1024 for msn, dts in starts.items())
    chunks += audio.finish()
    last = sum(chunk.duration for chunk in chunks if chunk.msn == 4)
    assert last <= 3 * 48_000 + 1024, "sound without pictures makes no segment longer"


def test_audio_before_the_first_segment_is_left_out() -> None:
    audio = cutter()
    audio.boundary(Boundary(0, 9_000))
    for index in range(10):
        audio.push(frame(index), pdt_us=0)
    chunks = audio.advance(1 << 40) + audio.finish()
    assert chunks[0].dts == 5 * 1024


def test_segment_without_audio_is_a_gap() -> None:
    audio = cutter()
    for msn in range(3):
        audio.boundary(Boundary(msn, msn * 180_000))
    chunks = audio.push(frame(0), pdt_us=1_000_000)
    chunks += audio.push(frame(200), pdt_us=5_266_666)
    chunks += audio.advance(1 << 40) + audio.finish()
    gaps = [chunk for chunk in chunks if chunk.flags & ChunkFlag.GAP]
    assert [(gap.msn, gap.dts, gap.duration) for gap in gaps] == [(1, 96_000, 96_000)]
    assert [chunk.msn for chunk in chunks] == [0, 1, 2]
    assert [chunk.serial for chunk in chunks] == [0, 1, 1], "a gap uses up no serial: it has no part to fetch"


def test_discontinuity_comes_with_the_boundary() -> None:
    audio = cutter()
    audio.boundary(Boundary(0, 0))
    audio.boundary(Boundary(1, 90_000, True))
    for index in range(100):
        audio.push(frame(index), pdt_us=0)
    chunks = audio.advance(1 << 40) + audio.finish()
    flagged = [chunk for chunk in chunks if chunk.flags & ChunkFlag.DISCONTINUITY]
    assert len(flagged) == 1 or [chunk.part for chunk in flagged] == [0]


def test_alone_on_its_own_grid() -> None:
    audio = cutter(follows_video=False)
    chunks: list[Chunk] = []
    for index in range(300):
        chunks += audio.push(frame(index), pdt_us=0)
    chunks += audio.finish()
    starts = [chunk.dts for chunk in chunks if chunk.part == 0]
    assert starts == [0, 94 * 1024, 188 * 1024, 282 * 1024]
    assert sum(len(chunk.samples) for chunk in chunks) == 300
