"""Previews and storyboards of real decoded frames."""

import asyncio

import av
import msgspec
import pytest
from av.video.frame import VideoFrame

from appliance.contracts.errors import UnavailableError
from appliance.contracts.pictures import PREVIEW_FORMATS, PREVIEW_SIZES, StoredPicture
from appliance.contracts.subjects import preview_key, sheet_key, storyboard_key
from appliance.runtime.bus import Entry
from edge.media.storyboard import Cue, parse_vtt
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.pictures.preview import PictureRules, Pictures
from edge.transcode.pictures.still import Still, fitted, previews
from edge.transcode.pictures.storyboard import StoryboardMaker
from tests.unit.transcode.encoded_sources import FRAME, Encoded, grey, level_of, picture_source

SQUARE = (1, 1)
_DECODERS = {"jpg": "mjpeg", "webp": "webp"}


def decoded(source: Encoded) -> list[VideoFrame]:
    decoder = av.CodecContext.create(source.form.decoder, "r")
    decoder.extradata = source.form.extradata
    frames = []
    for sample in source.samples:
        packet = av.Packet(bytes(sample.data))
        packet.pts, packet.dts, packet.time_base = sample.pts, sample.dts, TIME_BASE
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    for frame in frames:
        frame.time_base = TIME_BASE
    return frames


def opened(data: bytes, form: str) -> VideoFrame:
    """The picture in a file, as grey levels of full range."""
    decoder = av.CodecContext.create(_DECODERS[form], "r")
    (frame,) = decoder.decode(av.Packet(data)) + decoder.decode(None)
    return frame


def level_at(frame: VideoFrame, x: int, y: int) -> int:
    plane = frame.reformat(format="gray").planes[0]
    return bytes(plane)[y * plane.line_size + x]


def full_range(level: int) -> float:
    return (level - 16) * 255 / 219


@pytest.mark.parametrize(
    ("size", "aspect", "box", "expected"),
    [
        ((1920, 1080), SQUARE, 640, (640, 360)),
        ((320, 180), SQUARE, 640, (320, 180)),
        ((720, 576), (16, 11), 640, (640, 352)),
        ((1080, 1920), SQUARE, 640, (360, 640)),
        ((640, 480), (0, 0), 320, (320, 240)),
        ((1, 1), SQUARE, 320, (2, 2)),
        ((8000, 10), SQUARE, 320, (320, 2)),
    ],
)
def test_the_longest_side_fits_and_nothing_is_enlarged(
    size: tuple[int, int], aspect: tuple[int, int], box: int, expected: tuple[int, int]
) -> None:
    assert fitted(*size, aspect, box) == expected


def test_previews_show_the_frame_in_every_size_and_format() -> None:
    frame = decoded(picture_source("libx264", 40, 20, (1280, 720)))[30]
    files = previews(Still(frame, SQUARE, 30 * FRAME, 5))
    assert set(files) == {(size, form) for size in PREVIEW_SIZES for form in PREVIEW_FORMATS}
    for (size, form), data in files.items():
        shown = opened(data, form)
        assert (shown.width, shown.height) == (size, size * 9 // 16)
        assert abs(level_at(shown, size // 2, size // 4) - full_range(level_of(30))) < 6
    assert frame.pts == 30 * FRAME, "the decoder's frame is left as it is"
    assert files[320, "jpg"][:3] == b"\xff\xd8\xff"
    assert files[320, "webp"][8:12] == b"WEBP"


def test_a_small_portrait_of_wide_samples_keeps_its_shape() -> None:
    files = previews(Still(grey((90, 320), 100, 0), (2, 1), 0, 0))
    for (_, form), data in files.items():
        shown = opened(data, form)
        assert (shown.width, shown.height) == (180, 320)
    assert files[640, "jpg"] is files[1280, "jpg"]


@pytest.mark.parametrize("form", ["yuv420p10le", "yuv444p", "yuvj420p", "nv12", "gray"])
def test_frames_of_any_format_become_pictures(form: str) -> None:
    frame = grey((64, 36), 126, 0).reformat(format=form)
    shown = opened(previews(Still(frame, SQUARE, 0, 0))[320, "jpg"], "jpg")
    assert abs(level_at(shown, 32, 18) - full_range(126)) < 6


def test_colours_survive_the_change_of_matrix() -> None:
    """Red in BT.709, as an HD picture has it, is red in a file whose readers take BT.601."""
    frame = VideoFrame(1280, 720, "yuv420p")
    for plane, level in zip(frame.planes, (63, 102, 240), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.pts, frame.time_base = 0, TIME_BASE
    for (_, form), data in previews(Still(frame, SQUARE, 0, 0)).items():
        shown = opened(data, form).reformat(format="rgb24", src_colorspace="ITU601")
        red, green, blue = bytes(shown.planes[0])[:3]
        assert red > 240 and green < 12 and blue < 12, (form, red, green, blue)


def maker(cues: list[Cue] | None = None, **changes: object) -> StoryboardMaker:
    rules = {"step_s": 1.0, "window_s": 100.0, "version": "b", "cues": cues or [], "columns": 3, "rows": 2}
    return StoryboardMaker(**(rules | changes))  # type: ignore[arg-type]


def test_a_storyboard_of_real_frames_shows_each_where_its_cue_says() -> None:
    frames = decoded(picture_source("libx264", 90, 30, (320, 180)))
    board, sheets, drawn = maker(), {}, None
    for frame in frames[::10]:
        if board.is_due(frame.pts or 0):
            drawn = board.add(Still(frame, SQUARE, frame.pts or 0, 0))
            sheets[drawn.sheet] = drawn.image
    assert drawn is not None
    assert [(cue.start_ms, cue.end_ms) for cue in drawn.cues] == [(0, 1000), (1000, 2000), (2000, 3000)]
    sheet = opened(sheets[0], "jpg")
    assert (sheet.width, sheet.height) == (480, 90), "no row without a tile"
    for index, cue in enumerate(drawn.cues):
        assert (cue.x, cue.y, cue.width, cue.height) == (160 * index, 0, 160, 90)
        assert cue.uri == "sheet-0.jpg?v=b-3"
        middle = level_at(sheet, cue.x + cue.width // 2, cue.y + cue.height // 2)
        assert abs(middle - full_range(level_of(30 * index))) < 8


def test_sheets_follow_each_other_and_old_ones_leave_the_window() -> None:
    board = maker(window_s=5.0)
    drawn = [
        board.add(Still(grey((320, 180), 16 + second * 15, 0), SQUARE, second * 90_000, 0)) for second in range(14)
    ]
    assert [one.sheet for one in drawn] == [0] * 6 + [1] * 6 + [2] * 2
    last = drawn[-1].cues
    assert [cue.start_ms for cue in last] == [9000, 10000, 11000, 12000, 13000]
    assert [cue.uri for cue in last] == ["sheet-1.jpg?v=b-6"] * 3 + ["sheet-2.jpg?v=b-2"] * 2
    assert not board.is_due(13 * 90_000 + 80_000)
    assert board.is_due(14 * 90_000)


def test_a_successor_goes_on_behind_what_another_worker_left() -> None:
    first = maker().add(Still(grey((320, 180), 50, 0), SQUARE, 0, 0))
    second = maker(first.cues)
    assert not second.is_due(45_000)
    drawn = second.add(Still(grey((320, 180), 90, 0), SQUARE, 180_000, 0))
    assert drawn.sheet == 1
    assert [(cue.uri, cue.start_ms, cue.end_ms) for cue in drawn.cues] == [
        ("sheet-0.jpg?v=b-1", 0, 2000),
        ("sheet-1.jpg?v=b-1", 2000, 3000),
    ]


def test_a_picture_of_another_shape_is_centred_in_its_tile() -> None:
    board = maker()
    board.add(Still(grey((320, 180), 200, 0), SQUARE, 0, 0))
    drawn = board.add(Still(grey((180, 320), 200, 0), SQUARE, 90_000, 0))
    sheet = opened(drawn.image, "jpg")
    assert (sheet.width, sheet.height) == (320, 90)
    assert level_at(sheet, 240, 45) > 180
    assert level_at(sheet, 165, 45) < 20 and level_at(sheet, 315, 45) < 20


class Shelf:
    """A bucket that can be slow or away."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, key: str) -> Entry | None:
        found = self.values.get(key)
        return Entry(found, 1) if found is not None else None

    async def put(self, key: str, value: bytes) -> int:
        await self.open.wait()
        if self.away:
            raise UnavailableError("away")
        self.values[key] = value
        return 1

    def picture(self, key: str) -> StoredPicture:
        return msgspec.msgpack.decode(self.values[key], type=StoredPicture)


async def until(what: object) -> None:
    async with asyncio.timeout(20):  # the thread has the lowest priority
        while not what():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def ended(pictures: Pictures) -> None:
    pictures.close()
    thread = pictures._thread
    if thread is not None:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


def offer(pictures: Pictures, level: int, second: int) -> None:
    pictures.offer(grey((64, 36), level, second * 90_000), SQUARE, second * 1_000_000)


async def test_the_newest_frame_wins_while_the_bus_is_slow() -> None:
    shelf = Shelf()
    pictures = Pictures(shelf, "b", PictureRules(preview_s=0.001))  # type: ignore[arg-type]
    pictures.start()
    shelf.open.clear()
    offer(pictures, 50, 1)
    await until(lambda: pictures._waiting is None and pictures._cancel is not None)
    await asyncio.sleep(0.01)
    for second in range(2, 6):
        offer(pictures, 50 + second, second)
    shelf.open.set()
    key = preview_key("b", 320, "webp")
    await until(lambda: key in shelf.values and shelf.picture(key).at_ms == 5000)
    await ended(pictures)
    assert set(shelf.values) == {preview_key("b", size, form) for size in PREVIEW_SIZES for form in PREVIEW_FORMATS}


async def test_previews_and_the_storyboard_come_at_their_times() -> None:
    shelf = Shelf()
    pictures = Pictures(shelf, "b", PictureRules(preview_s=3600, storyboard_s=2.0, window_s=60))  # type: ignore[arg-type]
    pictures.start()
    await until(lambda: pictures._storyboard is not None)
    for second in (10, 11, 12):
        offer(pictures, 50, second)
        await until(lambda: pictures._waiting is None)
    await until(lambda: b"00:00:12.000 -->" in shelf.values.get(storyboard_key("b"), b""))
    await ended(pictures)
    cues = parse_vtt(shelf.picture(storyboard_key("b")).data.decode())
    assert [(cue.start_ms, cue.end_ms) for cue in cues] == [(10_000, 12_000), (12_000, 14_000)]
    assert shelf.picture(preview_key("b", 640, "jpg")).at_ms == 10_000
    sheet = opened(shelf.picture(sheet_key("b", 0)).data, "jpg")
    assert (sheet.width, sheet.height) == (128, 36)


async def test_nothing_here_fails_a_job() -> None:
    """A bus that is away, a frame nothing is made of, and a stop in the middle of all of it."""
    shelf = Shelf()
    shelf.away = True
    shelf.values[storyboard_key("b")] = b"junk"
    pictures = Pictures(shelf, "b", PictureRules(preview_s=0.001, storyboard_s=0.001))  # type: ignore[arg-type]
    pictures.start()
    offer(pictures, 50, 1)
    await asyncio.sleep(0.05)
    pictures.offer(VideoFrame(64, 36, "pal8"), SQUARE, 0)
    shelf.away = False
    offer(pictures, 50, 2)
    await until(lambda: preview_key("b", 320, "jpg") in shelf.values)
    shelf.open.clear()
    offer(pictures, 50, 3)
    await asyncio.sleep(0.02)
    await ended(pictures)


async def test_without_an_interval_there_is_no_thread() -> None:
    pictures = Pictures(Shelf(), "b", PictureRules())  # type: ignore[arg-type]
    pictures.start()
    offer(pictures, 50, 1)
    assert pictures._thread is None
    await ended(pictures)
