"""The path of hardware encoders, x264 in the place of a driver: NV12 in, a byte stream out, frames late.

NV21 stands for pictures that are on a card: the engine has to take them as they are.
"""

from collections.abc import Sequence

import av
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from edge.protocols.codecs import avc
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.hardware import HardwareEncoder, HardwareEngine
from tests.unit.transcode.encoded_sources import FRAME, grey, level_of

FORM = RungFormat(160, 90, 200_000, (30, 1), "superfast")
COMMON = {"preset": "ultrafast", "forced-idr": "1"}
QUICK = HardwareEncoder("libx264", {**COMMON, "tune": "zerolatency", "x264-params": "scenecut=0"})
LATE = HardwareEncoder("libx264", {**COMMON, "x264-params": "scenecut=0:rc-lookahead=2:sync-lookahead=0:mbtree=0"})

CARD = HardwareEncoder(
    "libx264", {**COMMON, "x264-params": "scenecut=0:rc-lookahead=2:sync-lookahead=0:mbtree=0"}, "nv21"
)


def on_card(index: int, pool: object, size: tuple[int, int] = (160, 90)) -> VideoFrame:
    frame = VideoReformatter().reformat(grey(size, level_of(index), index * FRAME), format="nv21")
    frame.opaque = (pool,)
    return frame


def encode(engine: HardwareEngine, count: int, keys: Sequence[int], first: int = 0) -> list[Encoded]:
    frames = [grey((320, 180), level_of(index), index * FRAME) for index in range(first, first + count)]
    return [unit for frame in frames for unit in engine.encode(frame, (frame.pts or 0) // FRAME in keys, (1, 1))]


@pytest.mark.parametrize(("encoder", "late"), [(QUICK, 0), (LATE, 3)], ids=["quick", "late"])
def test_every_frame_once_and_an_idr_where_it_is_demanded(encoder: HardwareEncoder, late: int) -> None:
    engine = HardwareEngine(encoder, FORM)
    config = engine.config
    assert avc.parse_config(config).picture()[3:5] == (160, 90)
    units = encode(engine, 20, (0, 5, 6, 13))
    assert len(units) == 20 - late
    units += engine.drain()
    units += encode(engine, 5, (20,), first=20) + engine.drain()
    assert [unit.pts // FRAME for unit in units] == list(range(25))
    assert [unit.pts // FRAME for unit in units if unit.key] == [0, 5, 6, 13, 20]
    assert engine.config == config
    assert_shown(units, config, 25)
    engine.close()
    assert engine.drain() == []


def assert_shown(units: list[Encoded], config: bytes, count: int) -> None:
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = config, 1
    shown = [one for unit in units for one in decoder.decode(av.Packet(unit.data))] + decoder.decode(None)
    levels = [bytes(picture.planes[0])[picture.planes[0].line_size * 45 + 80] for picture in shown]
    assert max(abs(level - level_of(index)) for index, level in enumerate(levels)) <= 6
    assert len(levels) == count


def test_pictures_on_the_card_are_taken_as_they_are_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """From one pool, from another one, from system memory and back: nothing is lost, an IDR where it goes over."""
    engine = HardwareEngine(CARD, FORM)
    assert engine.on_card
    config, scaled = engine.config, []
    scale = engine._scaler.scale
    monkeypatch.setattr(engine._scaler, "scale", lambda *frame: scaled.append(frame) or scale(*frame))
    first, second = object(), object()
    frames = [on_card(index, first if index < 5 else second) for index in range(10)]
    frames += [grey((320, 180), level_of(index), index * FRAME) for index in range(10, 15)]
    frames += [on_card(index, second) for index in range(15, 20)]
    units = [unit for index, frame in enumerate(frames) for unit in engine.encode(frame, index in (0, 7), (1, 1))]
    units += engine.drain()
    assert [unit.pts // FRAME for unit in units] == list(range(20))
    assert [unit.pts // FRAME for unit in units if unit.key] == [0, 5, 7, 10, 15]
    assert len(scaled) == 5
    assert engine.config == config
    assert_shown(units, config, 20)


def test_a_picture_on_the_card_of_another_size_is_refused() -> None:
    with pytest.raises(EngineError, match="320x180"):
        HardwareEngine(CARD, FORM).encode(on_card(0, None, (320, 180)), True, (1, 1))


def test_other_parameter_sets_for_pictures_on_the_card_end_the_engine() -> None:
    engine = HardwareEngine(CARD, FORM)
    engine._encoder = CARD._replace(options={**CARD.options, "preset": "superfast"})
    with pytest.raises(EngineError, match="other parameter sets for nv21"):
        engine.encode(on_card(0, None), True, (1, 1))


def test_an_encoder_without_a_card_takes_no_picture_on_one() -> None:
    assert not HardwareEngine(QUICK, FORM).on_card


def test_an_encoder_that_is_none() -> None:
    with pytest.raises(EngineError, match="does not open"):
        HardwareEngine(HardwareEncoder("h264_of_nobody", {}), FORM)
