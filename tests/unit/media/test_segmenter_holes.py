"""Pictures that an encoder left out: the media has no hole, and the playlist's time is the true one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.media import ChunkFlag
from edge.media.segmenter import Chunk, Segmenter, unled
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample
from tests.unit.media.test_segmenter import parts_of, run

FRAME, PART, SEGMENT = 3_000, 31_500, 180_000
BY_PART = SegmenterConfig(
    timescale=90_000, part_target=PART, segment_target=SEGMENT, max_segment=2 * SEGMENT, contiguous=True
)
FINE = BY_PART.replace(chunk_target=9_000)
GIVEN = BY_PART.replace(given_boundaries=True)


def without(*missing: int, count: int = 120, gop: int = 60) -> list[Sample]:
    """At 30 pictures a second, without some."""
    return [
        Sample(index * FRAME, FRAME, 0, index % gop == 0, index.to_bytes(2, "big"))
        for index in range(count)
        if index not in missing
    ]


def samples_of(chunks: list[Chunk]) -> list[Sample]:
    return [sample for chunk in chunks for sample in chunk.samples]


def assert_contiguous(chunks: list[Chunk]) -> None:
    """In the playlist's time and in the media."""
    assert [one.dts + one.duration for one in chunks[:-1]] == [other.dts for other in chunks[1:]]
    samples = samples_of(chunks)
    assert [one.end for one in samples[:-1]] == [other.dts for other in samples[1:]]


@pytest.mark.parametrize("config", [BY_PART, FINE])
@pytest.mark.parametrize(
    "missing", [(7,), (10,), (9, 10, 11, 12), (5, 6, 7, 8, 9, 10, 11), (20,), (58, 59), tuple(range(40, 60))]
)
def test_pictures_left_out(config: SegmenterConfig, missing: tuple[int, ...]) -> None:
    given_samples = without(*missing)
    chunks = run(given_samples, config)
    assert_contiguous(chunks)
    assert [sample.pts for sample in samples_of(chunks)] == [sample.pts for sample in given_samples]
    starts = [chunk.dts for chunk in chunks if chunk.part == chunk.chunk == 0]
    assert starts == [0, SEGMENT], "segments begin with their key frames"


@pytest.mark.parametrize("config", [BY_PART, FINE])
def test_a_part_is_as_long_as_without_the_hole(config: SegmenterConfig) -> None:
    """A short part in the middle of a segment is what players do not expect."""
    for missing in range(2, 50):
        parts = parts_of(run(without(missing, missing + 1, missing + 2), config))
        lengths = [sum(chunk.duration for chunk in group) for (msn, _), group in parts.items() if msn == 0]
        assert max(lengths) <= PART
        assert min(lengths[:-1]) >= 0.85 * PART, missing


def test_a_hole_longer_than_a_part_is_before_the_picture_that_ends_it() -> None:
    chunks = run(without(*range(12, 40)), BY_PART)
    late = next(chunk for chunk in chunks if chunk.lead)
    assert late.samples[0].pts == 40 * FRAME
    assert late.dts == 20 * FRAME + 1500, "the part before lasts as long as a part may"
    assert late.duration == 40 * FRAME + FRAME - late.dts
    assert late.flags & ChunkFlag.LAST_OF_PART


def test_a_hole_before_a_key_frame_belongs_to_the_segment_before() -> None:
    chunks = run(without(*range(30, 60)), BY_PART)
    closing, first = next((one, other) for one, other in itertools.pairwise(chunks) if other.msn == 1)
    assert closing.flags & ChunkFlag.LAST_OF_SEGMENT
    assert closing.dts + closing.duration == first.dts == SEGMENT
    assert first.lead == 30 * FRAME
    assert first.duration == sum(sample.duration for sample in first.samples) - first.lead
    assert unled(first.samples, first.lead)[0] == Sample(SEGMENT, FRAME, 0, True, (60).to_bytes(2, "big"))


def test_a_hole_that_would_make_a_segment_too_long_stays_one() -> None:
    chunks = run(without(*range(30, 180), count=240), BY_PART)
    at = next(index for index, chunk in enumerate(chunks) if chunk.msn == 1)
    assert chunks[at].lead == 0
    assert chunks[at].dts == 180 * FRAME
    assert sum(chunk.duration for chunk in chunks[:at]) <= SEGMENT


def test_a_discontinuity_is_no_hole() -> None:
    segmenter = Segmenter(BY_PART)
    chunks = segmenter.push(Sample(0, FRAME, 0, True, b"a"), pdt_us=0)
    later = Sample(50 * FRAME, FRAME, 0, True, b"b")
    chunks += segmenter.push(later, pdt_us=0, discontinuity=True)
    chunks += segmenter.finish()
    assert [(chunk.duration, chunk.lead) for chunk in chunks] == [(FRAME, 0), (FRAME, 0)]


@given(
    st.lists(
        st.tuples(st.integers(1, 22_500), st.booleans(), st.sampled_from([0, 0, 0, 40, 3_000, 40_000, 200_000])),
        min_size=1,
        max_size=120,
    )
)
def test_any_stream(frames: list[tuple[int, bool, int]]) -> None:
    dts, samples = 0, []
    for index, (duration, key, hole) in enumerate(frames):
        dts += hole if samples else 0
        samples.append(Sample(dts, duration, 0, key, index.to_bytes(2, "big")))
        dts += duration
    for config in (BY_PART, FINE, FINE.replace(tapered=True)):
        chunks = run(samples, config)
        media = samples_of(chunks)
        assert [sample.data for sample in media] == [sample.data for sample in samples]
        assert [sample.pts for sample in media] == [sample.pts for sample in samples]
        assert all(one.end <= other.dts for one, other in itertools.pairwise(media))
        assert all(one.dts + one.duration <= other.dts for one, other in itertools.pairwise(chunks))
        restored = [sample for chunk in chunks for sample in unled(chunk.samples, chunk.lead)]
        assert [(one.dts, one.cts) for one in restored] == [(one.dts, one.cts) for one in samples]
        for (msn, _), group in parts_of(chunks).items():
            length = sum(chunk.duration for chunk in group)
            assert length <= PART or group[0].lead or group[-1].flags & ChunkFlag.LAST_OF_SEGMENT, msn


def test_who_cuts_again_what_was_cut_cuts_the_same() -> None:
    """A rung: pictures with the times that they have in the log."""
    source = run(without(9, 10, 11, 12, 30, *range(40, 60), 75), FINE)
    segmenter, chunks, msn = Segmenter(GIVEN), [], -1
    for chunk in source:
        for sample in unled(chunk.samples, chunk.lead):
            starts, msn = chunk.msn != msn, chunk.msn
            chunks += segmenter.push(sample, pdt_us=0, msn=chunk.msn if starts else None)
    chunks += segmenter.finish()
    parts, others = parts_of(source), parts_of(chunks)
    assert parts.keys() == others.keys()
    for key, group in parts.items():
        assert group[0].dts == others[key][0].dts
        assert sum(chunk.duration for chunk in group) == sum(chunk.duration for chunk in others[key])


def test_the_outlook_of_slides_is_the_next_of_them() -> None:
    """Two pictures a second: each is said to last a quarter of one, and the next comes after the hole."""
    segmenter = Segmenter(BY_PART)
    for index in range(8):
        segmenter.push(Sample(index * 45_000, 22_500, 0, index % 4 == 0, b"x"), pdt_us=0)
        if index > 1:
            assert segmenter.outlook() == (index * 45_000, 45_000)


def test_one_pause_makes_no_slow_source() -> None:
    """Who waited for the next picture as long as for the last one would be late."""
    segmenter = Segmenter(BY_PART)
    for dts in (0, 3_000, 6_000, 45_000, 48_000):
        segmenter.push(Sample(dts, FRAME, 0, dts == 0, b"x"), pdt_us=0)
        assert segmenter.outlook()[1] <= PART
