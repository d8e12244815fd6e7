"""An ffmpeg child as encoder: every frame once, an IDR exactly where it is demanded, and no hang when it dies."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from edge.protocols.codecs import avc
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.catalogue import X264_CHILD
from edge.transcode.engines.child import ChildEngine
from edge.transcode.engines.process import EncoderProcess
from edge.transcode.engines.x264 import X264
from tests.unit.transcode.encoded_sources import FRAME, grey, level_of

FORM = RungFormat(160, 90, 200_000, (30, 1), "superfast")
SOURCE = (320, 180)
START = 12_345_678  # times do not begin at 0


@pytest.fixture
def engine() -> Iterator[ChildEngine]:
    made = ChildEngine(X264_CHILD, FORM)
    yield made
    made.close()


def encode(engine: ChildEngine | X264, first: int, count: int, keys: tuple[int, ...] = ()) -> list[Encoded]:
    found: list[Encoded] = []
    for index in range(first, first + count):
        frame = grey(SOURCE, level_of(index), START + index * FRAME)
        found += engine.encode(frame, index in keys, (1, 1))
    return found


def numbers(units: list[Encoded]) -> list[int]:
    return [(unit.pts - START) // FRAME for unit in units]


def test_an_idr_exactly_where_it_is_demanded(engine: ChildEngine) -> None:
    keys = (0, 7, 8, 20, 29)
    units = encode(engine, 0, 30, keys)
    assert len(units) >= 27, "at most three frames late"
    units += engine.drain()
    assert numbers(units) == list(range(30))
    assert tuple(numbers([unit for unit in units if unit.key])) == keys
    kinds = [[nal[0] & 0x1F for nal in avc.iter_nals(unit.data, 4)] for unit in units]
    assert not any({avc.NAL_AUD, avc.NAL_SPS, avc.NAL_PPS} & set(kind) for kind in kinds)
    assert shown(engine.config, units) == [level_of(index) for index in range(30)]


def shown(config: bytes, units: list[Encoded]) -> list[int]:
    """The grey of each decoded picture, as near as the encoder came to the source's."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = config, 1
    pictures = [one for unit in units for one in decoder.decode(av.Packet(unit.data))] + decoder.decode(None)
    levels = [bytes(picture.planes[0])[picture.planes[0].line_size * 45 + 80] for picture in pictures]
    return [level_of(i) if abs(level - level_of(i)) <= 6 else level for i, level in enumerate(levels)]


def test_after_a_pause_nothing_refers_to_the_black_pictures(engine: ChildEngine) -> None:
    units = encode(engine, 0, 5, (0,)) + engine.drain()
    assert engine.drain() == []
    later = encode(engine, 100, 3) + engine.drain()
    assert numbers(units + later) == [0, 1, 2, 3, 4, 100, 101, 102]
    assert [unit.key for unit in later] == [True, False, False]
    assert len(shown(engine.config, later)) == 3


def test_irregular_times_and_lines_with_padding() -> None:
    engine = ChildEngine(X264_CHILD, FORM._replace(width=214, height=120))
    times = [0, 1, 2, 3000, 3001, 9000, 9_000_000, 9_000_050]
    units = [one for at in times for one in engine.encode(grey(SOURCE, 100, START + at), at == 3001, (1, 1))]
    units += engine.drain()
    engine.close()
    assert [unit.pts - START for unit in units] == times
    assert [unit.pts - START for unit in units if unit.key] == [0, 3001]
    assert avc.parse_config(engine.config).picture()[3:5] == (214, 120)


def test_a_child_that_scales_is_started_anew_for_another_size() -> None:
    recipe = X264_CHILD._replace(filters=lambda form: [f"scale={form.width}:{form.height}"], scales=True)
    engine = ChildEngine(recipe, FORM)
    config = engine.config
    units = encode(engine, 0, 4, (0,))
    units += engine.encode(grey((640, 360), level_of(4), START + 4 * FRAME), True, (1, 1))
    units += engine.encode(grey((240, 180), level_of(5), START + 5 * FRAME), True, (1, 1))
    units += engine.drain()
    engine.close()
    assert numbers(units) == list(range(6))
    assert engine.config == config
    assert shown(config, units) == [level_of(index) for index in range(6)]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_child_is_an_error_and_no_zombie(engine: ChildEngine, ending: signal.Signals) -> None:
    encode(engine, 0, 3, (0,))
    os.kill(engine.pid, ending)
    with pytest.raises(EngineError, match="ffmpeg"):
        encode(engine, 3, 200)
    engine.close()
    engine.close()
    assert not Path(f"/proc/{engine.pid}").exists()


def test_a_stuck_child_is_an_error_in_time(engine: ChildEngine) -> None:
    encode(engine, 0, 3, (0,))
    engine._process.patience_s = 0.1
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match="does not answer"):
        engine.drain()
    engine.close()
    assert not Path(f"/proc/{engine.pid}").exists()


def test_a_child_that_refuses_says_why() -> None:
    recipe = X264_CHILD._replace(encoder=lambda _: ["-c:v", "no_such_encoder"])
    with pytest.raises(EngineError, match="no_such_encoder"):
        ChildEngine(recipe, FORM)
    with pytest.raises(EngineError, match="setpriv"):
        ChildEngine(X264_CHILD, FORM, "no-such-program")


def test_a_forgotten_child_ends(engine: ChildEngine) -> None:
    process = EncoderProcess(["cat"], 1.0)
    pid = process.pid
    assert process.exchange([b"12", memoryview(b"34")]) + process.wait(0.5) == b"1234"
    assert process.wait(0.01) == b""
    del process
    deadline = time.monotonic() + 2
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
