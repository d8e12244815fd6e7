"""Sources that no encoder should send: the threads live on, and what comes out is in order and once."""

import random
from collections.abc import Callable, Sequence

import pytest

from appliance.contracts.media import ChunkFlag
from edge.media.ladder import SourceDescription, ladder_of
from edge.protocols.fmp4 import Sample
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.forms import VideoForm
from tests.unit.transcode.encoded_sources import FRAME, Encoded, chunks_of, picture_source, sound_source
from tests.unit.transcode.test_transcode_sound import FRAME as SOUND_FRAME
from tests.unit.transcode.test_transcode_sound import samples_of as sound_samples
from tests.unit.transcode.test_transcode_sound import transcode as transcode_sound
from tests.unit.transcode.test_transcode_sources import RUNG, samples_of, transcode

GOP, GOPS = 15, 6
SMALL = (64, 36)
Harm = Callable[[random.Random, Sample], list[Sample]]


def damaged(chance: random.Random, sample: Sample) -> list[Sample]:
    """The access unit with some of its bytes changed."""
    data = bytearray(sample.data)
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] ^= chance.randint(1, 255)
    return [sample.replace(data=bytes(data))]


def truncated(chance: random.Random, sample: Sample) -> list[Sample]:
    return [sample.replace(data=bytes(sample.data)[: chance.randint(1, len(sample.data))])]


def dropped(chance: random.Random, sample: Sample) -> list[Sample]:
    return []


def harmed(source: Encoded, harm: Harm, share: float, seed: int) -> list[Sample]:
    """A share of the access units of all but the last GOP, key frames among them, is harmed."""
    chance = random.Random(seed)
    found: list[Sample] = []
    for index, sample in enumerate(source.samples):
        spared = index >= GOP * (GOPS - 1) or chance.random() >= share
        found += [sample] if spared else harm(chance, sample)
    return found


def cut(samples: Sequence[Sample], form: VideoForm) -> list[SourceChunk]:
    """Segments of a GOP's time each, whatever is left of it."""
    times = [next((i for i, s in enumerate(samples) if s.dts >= msn * GOP * FRAME), 0) for msn in range(GOPS)]
    return chunks_of(samples, form, segments=sorted({0, *times}))


def assert_in_order(outputs: list[Output]) -> list[int]:
    """Frames come once and forwards, segments too; the frames' times."""
    times = [sample.dts for sample in samples_of(outputs)]
    assert times == sorted(set(times))
    places = [(o.header.msn, o.header.part, o.header.chunk) for o in outputs]
    assert places == sorted(set(places))
    return times


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("harm", [damaged, truncated, dropped])
def test_harmed_access_units(codec: str, share: float, harm: Harm) -> None:
    source = picture_source(codec, GOP * GOPS, GOP, SMALL)
    samples = harmed(source, harm, share, seed=round(share * 100))
    times = assert_in_order(transcode(cut(samples, source.form))[0])
    last = [index * FRAME for index in range(GOP * (GOPS - 1), GOP * GOPS)]
    assert times[-GOP:] == last, "the next key frame puts everything right"


def test_parameter_sets_that_lie_about_the_size() -> None:
    """Described as 640x360, sent as 64x36; then the truth."""
    source = picture_source("libx264", 30, 15, SMALL)
    liar = picture_source("libx264", 2, 2, (640, 360)).form
    chunks = chunks_of(source.samples, liar, segments=[0, 15])
    chunks += chunks_of(
        [s.replace(dts=s.dts + 30 * FRAME) for s in source.samples],
        source.form,
        segments=[0, 15],
        first_msn=2,
        sequence=100,
    )
    times = assert_in_order(transcode(chunks)[0])
    assert times[-30:] == [index * FRAME for index in range(30, 60)]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 2), (2, 600)])
def test_a_source_hardly_larger_than_nothing(size: tuple[int, int]) -> None:
    source = picture_source("libvpx", 8, 8, size)
    described = SourceDescription(width=size[0], height=size[1], frame_rate=(30, 1), codec="vp08")
    (rung,) = ladder_of(described).rungs
    outputs, _ = transcode(chunks_of(source.samples, source.form, segments=[0]), rung=rung)
    assert assert_in_order(outputs) == [index * FRAME for index in range(8)]


def test_240_frames_a_second() -> None:
    source = picture_source("libx264", 48, 24, SMALL)
    fast = [s.replace(dts=index * 375, duration=375) for index, s in enumerate(source.samples)]
    form = source.form._replace(frame_rate=(240, 1))
    chunks = chunks_of(fast, form, segments=[0, 24], per_chunk=12)
    assert assert_in_order(transcode(chunks)[0]) == [index * 3000 for index in range(6)], "a rung of 30"
    slow = RUNG.__class__("90p", 160, 90, 200_000, (240, 1))
    assert assert_in_order(transcode(chunks, rung=slow)[0]) == [index * 375 for index in range(48)]


def test_one_frame_of_8k() -> None:
    source = picture_source("libx264", 1, 1, (7680, 4320))
    outputs, _ = transcode(chunks_of(source.samples, source.form, segments=[0]))
    assert assert_in_order(outputs) == [0]


def test_no_key_frame_for_a_minute() -> None:
    """Forced cuts all along: each segment of the rung has its own key frame, none of the source's has."""
    source = picture_source("libx264", 1800, 5000, SMALL)
    segments = range(0, 1800, 60)
    chunks = chunks_of(source.samples, source.form, segments=segments)
    outputs, _ = transcode(chunks)
    assert assert_in_order(outputs) == [index * FRAME for index in range(1800)]
    assert [s.dts // FRAME for s in samples_of(outputs) if s.key] == list(segments)


def test_a_minute_until_the_first_key_frame() -> None:
    """Whoever begins in the middle of it makes gaps, and the first picture when there is one to make."""
    source = picture_source("libx264", 1800, 5000, SMALL)
    late = picture_source("libx264", 30, 30, SMALL, start=1800)
    chunks = chunks_of(source.samples, source.form, segments=range(0, 1800, 60))[1:]
    chunks += chunks_of(late.samples, late.form, segments=[0], first_msn=30, sequence=1000)
    outputs, _ = transcode(chunks)
    assert assert_in_order(outputs) == [index * FRAME for index in range(1800, 1830)]
    gaps = [o.header.msn for o in outputs if o.header.flags & ChunkFlag.GAP]
    assert gaps == list(range(1, 30))


@pytest.mark.parametrize("codec", ["libopus", "aac"])
@pytest.mark.parametrize("harm", [damaged, dropped])
def test_sound_with_holes(codec: str, harm: Harm) -> None:
    """A third of the access units is harmed: what is left plays at its own time."""
    sound = sound_source(codec, 1.4, 48_000, ())
    chance = random.Random(7)
    kept = [s for sample in sound.samples for s in ([sample] if chance.random() > 0.3 else harm(chance, sample))]
    half = next(i for i, s in enumerate(kept) if s.dts >= 0.7 * 48_000)
    chunks = chunks_of(kept, sound.form, segments=[0, half], timescale=48_000, per_chunk=4)
    outputs, _ = transcode_sound(chunks, 48_000)
    times = [sample.dts for sample in sound_samples(outputs)]
    assert times == sorted(set(times))
    assert all(time % SOUND_FRAME == 0 for time in times)
    assert times[-1] + SOUND_FRAME >= kept[-1].dts
    assert [o.header.msn for o in outputs if o.header.flags & ChunkFlag.LAST_OF_SEGMENT] == [0, 1]
