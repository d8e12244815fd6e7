"""The path of hardware encoders, x264 in the place of a driver: NV12 in, a byte stream out, frames late."""

from collections.abc import Sequence

import av
import pytest

from edge.protocols.codecs import avc
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.hardware import HardwareEncoder, HardwareEngine
from tests.unit.transcode.encoded_sources import FRAME, grey, level_of

FORM = RungFormat(160, 90, 200_000, (30, 1), "superfast")
COMMON = {"preset": "ultrafast", "forced-idr": "1"}
QUICK = HardwareEncoder("libx264", {**COMMON, "tune": "zerolatency", "x264-params": "scenecut=0"})
LATE = HardwareEncoder("libx264", {**COMMON, "x264-params": "scenecut=0:rc-lookahead=2:sync-lookahead=0:mbtree=0"})


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
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = config, 1
    shown = [one for unit in units for one in decoder.decode(av.Packet(unit.data))] + decoder.decode(None)
    levels = [bytes(picture.planes[0])[picture.planes[0].line_size * 45 + 80] for picture in shown]
    assert max(abs(level - level_of(index)) for index, level in enumerate(levels)) <= 6
    assert len(levels) == 25
    engine.close()
    assert engine.drain() == []


def test_an_encoder_that_is_none() -> None:
    with pytest.raises(EngineError, match="does not open"):
        HardwareEngine(HardwareEncoder("h264_of_nobody", {}), FORM)
