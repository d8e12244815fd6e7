"""Access units from which no whole picture comes are counted, and no others."""

import random
import threading
from collections.abc import Sequence
from fractions import Fraction

import av
import pytest
from av.video.frame import VideoFrame

from edge.protocols.fmp4 import Sample
from edge.transcode.awaited import Awaited, Times
from edge.transcode.control import RungControl
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.pipeline import Pipeline
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, grey, picture_source
from tests.unit.transcode.test_transcode_bad_sources import GOP, GOPS, SMALL, Harm, cut, damaged, harmed, truncated

TIMES = Times(FRAME, 0, 0)


def decode(chunks: Sequence[object]) -> int:
    """What is counted of a source."""
    control, failures = RungControl(), list[BaseException]()
    pipeline = Pipeline([], threading.Semaphore(0).release, failures.append, control)
    pipeline.start()
    for chunk in chunks:
        pipeline.put(chunk)  # type: ignore[arg-type]
    pipeline.drain()
    pipeline.stop()
    assert not failures, failures
    return control.damaged


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx"])
def test_nothing_is_damaged_in_a_whole_source(codec: str) -> None:
    source = picture_source(codec, GOP * GOPS, GOP, SMALL)
    assert decode(cut(source.samples, source.form)) == 0


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("harm", [damaged, truncated])
def test_harmed_access_units_are_counted(codec: str, harm: Harm) -> None:
    """At least half of the harmed: some bytes do not matter. Pictures that refer to them may suffer with them."""
    source = picture_source(codec, GOP * GOPS, GOP, SMALL)
    samples = harmed(source, harm, 0.3, seed=5)
    bad = sum(bytes(one.data) != bytes(was.data) for one, was in zip(samples, source.samples, strict=True))
    assert bad > 10
    assert bad / 2 <= decode(cut(samples, source.form)) <= GOP * (GOPS - 1)


def test_pictures_before_the_key_frame_that_a_decoder_begins_with() -> None:
    """An open GOP: the pictures before its key frame refer to the GOP before, which is not there."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 36, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(30)
    encoder.options = {"x264-params": "keyint=15:min-keyint=15:bframes=3:b-adapt=0:open-gop=1:scenecut=0"}
    noise = random.Random(2)
    packets = []
    for index in range(60):
        packets += encoder.encode(grey((64, 36), noise.randrange(16, 235), index * FRAME))
    packets += encoder.encode(None)
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    begin = keys[1]
    assert min(packet.pts for packet in packets[begin:]) < packets[begin].pts, (
        "nothing is shown before the key frame"
    )
    source = picture_source("libx264", 60, 15, SMALL)
    form = source.form._replace(extradata=b"")
    samples = [
        Sample(packet.dts, FRAME, packet.pts - packet.dts, packet.is_keyframe, bytes(packet))
        for packet in packets[begin:]
    ]
    assert decode(chunks_of(samples, form, segments=[0])) == 0


def frame(pts: int) -> VideoFrame:
    made = grey(SMALL, 16, pts)
    made.time_base = TIME_BASE
    return made


def test_who_is_passed_over_counts_once() -> None:
    awaited = Awaited()
    for index in (0, 3, 1, 2, 4):
        awaited.add(index * FRAME, TIMES)
    assert awaited.take(frame(0)) == TIMES
    assert awaited.take(frame(0)) is None
    assert awaited.take(frame(2 * FRAME)) == TIMES
    assert awaited.take_damaged() == 1
    awaited.end()
    assert awaited.take_damaged() == 2, "what the decoder never gave out"
    awaited.end()
    assert awaited.take_damaged() == 0


def test_a_decoder_that_gives_out_nothing_holds_a_bounded_number() -> None:
    awaited = Awaited()
    for index in range(200):
        awaited.add(index * FRAME, TIMES)
    assert awaited.take_damaged() == 200 - 64


def test_what_nobody_waits_for_any_more_is_not_missed() -> None:
    awaited = Awaited()
    for index in range(5):
        awaited.add(index * FRAME, TIMES)
    awaited.forget(3 * FRAME)
    assert awaited.take(frame(4 * FRAME)) == TIMES
    assert awaited.take_damaged() == 1
