"""Sound made Opus stays where it was, to within what nobody hears."""

import array
import itertools

import av
import pytest
from av.audio.frame import AudioFrame

from edge.whep.opus import FRAME, OpusMaker
from edge.whep.sound_packet import RATE, SoundForm, SoundPacket
from tests.media_tools.scheduling import ordinary_afterwards
from tests.unit.transcode.encoded_sources import Sound, sound_source

CLICKS = (0.5, 1.25)


def made_of(sound: Sound, *, skip: slice | None = None) -> list[SoundPacket]:
    """What the thread makes of it."""
    packets: list[SoundPacket] = []
    damaged: list[int] = []
    failures: list[BaseException] = []
    maker = OpusMaker(packets.extend, lambda: damaged.append(1), failures.append)
    form = sound.form
    known = SoundForm(form.decoder, form.extradata, form.sample_rate, form.channels, form.timescale)
    samples = list(sound.samples)
    if skip is not None:
        del samples[skip]
    maker.start()
    for first in range(0, len(samples), 5):
        while not maker.put(known, samples[first : first + 5]):
            pass
    while maker._queue.qsize():
        pass
    maker.stop()
    assert not failures
    assert not damaged
    return packets


def clicks_of(packets: list[SoundPacket]) -> list[float]:
    """Where loud samples begin, in media seconds, as a receiver plays them."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "stereo"
    found: list[float] = []
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet.data)):
            assert isinstance(frame, AudioFrame)
            values = array.array("f" if "flt" in frame.format.name else "h", bytes(frame.planes[0]))
            limit = 0.3 if values.typecode == "f" else 0.3 * 32767
            step = 1 if frame.format.is_planar else 2
            loud = [at // step for at, value in enumerate(values[: frame.samples * step]) if abs(value) > limit]
            if loud and (not found or packet.media / RATE + loud[0] / RATE - found[-1] > 0.1):
                found.append((packet.media + loud[0]) / RATE)
    return found


@pytest.mark.parametrize(("codec", "rate"), [("aac", 44_100), ("aac", 48_000), ("flac", 48_000)])
@ordinary_afterwards()
def test_clicks_stay_where_they_were(codec: str, rate: int) -> None:
    packets = made_of(sound_source(codec, 1.6, rate, CLICKS))
    assert {after.media - before.media for before, after in itertools.pairwise(packets)} == {FRAME}
    found = clicks_of(packets)
    assert len(found) == 2
    assert all(abs(heard - click) < 0.004 for heard, click in zip(found, CLICKS, strict=True))


@ordinary_afterwards()
def test_behind_a_hole_it_goes_on_in_its_place() -> None:
    packets = made_of(sound_source("aac", 1.6, 48_000, CLICKS), skip=slice(30, 45))
    steps = [after.media - before.media for before, after in itertools.pairwise(packets)]
    holes = [step for step in steps if step != FRAME]
    assert len(holes) == 1
    assert abs(holes[0] - 15 * 1024) <= 2 * FRAME
    assert abs(clicks_of(packets)[-1] - CLICKS[1]) < 0.004
