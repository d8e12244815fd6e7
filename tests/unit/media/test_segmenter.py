"""Segmenter invariants: no part over target, every frame once, the 85 % rule, numbers that only rise."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.media import ChunkFlag
from edge.media.segmenter import Chunk, Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample

CONFIG = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=180_000, max_segment=360_000, chunk_target=9_000
)
PER_PART = SegmenterConfig(
    timescale=90_000, part_target=31_500, segment_target=180_000, max_segment=1 << 62, given_boundaries=True
)


def constant(rate: Fraction, count: int, gop: int) -> list[Sample]:
    times = [index * 90_000 * rate.denominator // rate.numerator for index in range(count + 1)]
    return [Sample(times[i], times[i + 1] - times[i], 0, i % gop == 0, i.to_bytes(4, "big")) for i in range(count)]


def run(samples: list[Sample], config: SegmenterConfig = CONFIG, msn: int = 0, serial: int = 0) -> list[Chunk]:
    segmenter = Segmenter(config, msn=msn, serial=serial)
    chunks = []
    for sample in samples:
        chunks += segmenter.push(sample, pdt_us=sample.dts * 100 // 9)
    return chunks + segmenter.finish()


def parts_of(chunks: list[Chunk]) -> dict[tuple[int, int], list[Chunk]]:
    parts: dict[tuple[int, int], list[Chunk]] = {}
    for chunk in chunks:
        parts.setdefault((chunk.msn, chunk.part), []).append(chunk)
    return parts


def check(chunks: list[Chunk], config: SegmenterConfig) -> None:
    parts = parts_of(chunks)
    assert [group[0].serial for group in parts.values()] == list(
        range(chunks[0].serial, chunks[0].serial + len(parts))
    )
    for (msn, part), group in parts.items():
        media = [chunk for chunk in group if chunk.samples]
        assert sum(chunk.duration for chunk in group) <= config.part_target
        assert [chunk.chunk for chunk in group] == list(range(len(group)))
        assert len({chunk.serial for chunk in group}) == 1
        assert group[-1].flags & ChunkFlag.LAST_OF_PART
        assert not any(chunk.flags & ChunkFlag.LAST_OF_PART for chunk in media[:-1])
        last = (msn, part + 1) not in parts
        assert bool(group[-1].flags & ChunkFlag.LAST_OF_SEGMENT) == last
        for chunk in media:
            assert bool(chunk.flags & ChunkFlag.INDEPENDENT) == chunk.samples[0].key
            assert chunk.duration == sum(sample.duration for sample in chunk.samples)
    msns = [chunk.msn for chunk in chunks]
    assert msns == sorted(msns)


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(60), Fraction(25), Fraction(24)])
def test_constant_rates(rate: Fraction) -> None:
    gop = round(rate * 2)
    samples = constant(rate, gop * 3, gop)
    chunks = run(samples)
    check(chunks, CONFIG)
    parts = parts_of(chunks)
    for (msn, part), group in parts.items():
        assert msn < 3
        if (msn, part + 1) in parts:
            assert sum(chunk.duration for chunk in group) >= 0.85 * CONFIG.part_target
    assert [sample for chunk in chunks for sample in chunk.samples] == samples


@pytest.mark.parametrize(
    ("rate", "lengths"),
    [
        (Fraction(15), [2, 2, 1]),
        (Fraction(25), [3, 3, 1, 1]),
        (Fraction(30), [4, 3, 2, 1]),
        (Fraction(30_000, 1001), [4, 3, 2, 1]),
        (Fraction(60), [8, 7, 4, 2]),
    ],
)
def test_tapered_chunks(rate: Fraction, lengths: list[int]) -> None:
    """About as many as even ones, and the last of a part is short."""
    gop = round(rate * 2)
    samples = constant(rate, gop * 2, gop)
    tapered = CONFIG.replace(tapered=True)
    chunks = run(samples, tapered)
    check(chunks, tapered)
    assert [sample for chunk in chunks for sample in chunk.samples] == samples
    whole = sum(lengths)
    groups = [[len(chunk.samples) for chunk in group if chunk.samples] for group in parts_of(chunks).values()]
    assert {tuple(group) for group in groups if sum(group) == whole} == {tuple(lengths)}


def test_chunks_that_are_tapered_no_more() -> None:
    segmenter = Segmenter(CONFIG.replace(tapered=True))
    chunks = []
    for index, sample in enumerate(constant(Fraction(30), 40, 60)):
        if index == 20:
            segmenter.set_chunk_target(segmenter.config.chunk_target)
        chunks += segmenter.push(sample, pdt_us=0)
    lengths = [len(chunk.samples) for chunk in chunks]
    assert lengths == [4, 3, 2, 1, 4, 3, 2, 1, 3, 3, 3, 1, 3, 3, 3, 1]


def test_last_of_part_is_known_with_its_last_frame() -> None:
    segmenter = Segmenter(CONFIG)
    flags = []
    for sample in constant(Fraction(30), 10, 60):
        flags += [chunk.flags for chunk in segmenter.push(sample, pdt_us=0)]
    assert flags[-1] == ChunkFlag.LAST_OF_PART
    assert len(flags) == 4


def test_empty_closing_chunk() -> None:
    chunks = run(constant(Fraction(30), 61, 60))
    closing = next(chunk for chunk in chunks if not chunk.samples)
    before = chunks[chunks.index(closing) - 1]
    assert closing.flags == ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
    assert (closing.msn, closing.part, closing.serial) == (before.msn, before.part, before.serial)
    assert closing.chunk == before.chunk + 1
    assert closing.duration == 0
    assert chunks[chunks.index(closing) + 1].msn == 1


def test_key_frames_before_nine_tenths_do_not_cut() -> None:
    chunks = run(constant(Fraction(30), 180, 30))
    assert {chunk.msn for chunk in chunks} == {0, 1, 2}
    assert len(run(constant(Fraction(30), 108, 54))[0].samples) > 0
    assert {chunk.msn for chunk in run(constant(Fraction(30), 108, 54))} == {0, 1}


def test_no_key_frames() -> None:
    segmenter = Segmenter(CONFIG)
    chunks = []
    for sample in constant(Fraction(30), 300, 10_000):
        chunks += segmenter.push(sample, pdt_us=0)
    chunks += segmenter.finish()
    check(chunks, CONFIG)
    assert segmenter.forced_cuts == 2
    starts = [chunk for chunk in chunks if chunk.part == 0 and chunk.chunk == 0]
    assert [bool(chunk.flags & ChunkFlag.INDEPENDENT) for chunk in starts] == [True, False, False]
    assert starts[1].dts == 360_000


def test_discontinuity_starts_a_segment_at_once() -> None:
    segmenter = Segmenter(CONFIG)
    samples = constant(Fraction(30), 40, 20)
    chunks = []
    for index, sample in enumerate(samples):
        chunks += segmenter.push(sample, pdt_us=0, discontinuity=index == 20)
    chunks += segmenter.finish()
    flagged = [chunk for chunk in chunks if chunk.flags & ChunkFlag.DISCONTINUITY]
    assert [(chunk.msn, chunk.part, chunk.chunk, chunk.dts) for chunk in flagged] == [(1, 0, 0, 60_000)]


def test_transcoder_cuts_the_same_parts() -> None:
    samples = constant(Fraction(30), 300, 53)
    source = run(samples)
    starts = {chunk.samples[0].dts: chunk.msn for chunk in source if chunk.part == 0 and chunk.chunk == 0}
    segmenter = Segmenter(PER_PART)
    output = []
    for sample in samples:
        output += segmenter.push(sample, pdt_us=0, msn=starts.get(sample.dts))
    output += segmenter.finish()
    check(output, PER_PART)

    def frames(chunks: list[Chunk]) -> list[tuple[int, int, int, int]]:
        return [
            (*place, group[0].serial, sum(len(chunk.samples) for chunk in group))
            for place, group in parts_of(chunks).items()
        ]

    assert frames(output) == frames(source)
    assert max(len([chunk for chunk in group if chunk.samples]) for group in parts_of(output).values()) == 1


def test_gap() -> None:
    segmenter = Segmenter(CONFIG, msn=5, serial=40)
    chunks = segmenter.gap(1_000_000, pdt_us=7, from_dts=540_000)
    assert [chunk.msn for chunk in chunks] == [5, 6, 7]
    assert [chunk.serial for chunk in chunks] == [40, 40, 40], "a gap has no part and uses up no serial"
    assert sum(chunk.duration for chunk in chunks) == 460_000
    assert max(chunk.duration for chunk in chunks) <= CONFIG.segment_target
    assert all(chunk.flags == ChunkFlag.GAP | 6 and not chunk.samples for chunk in chunks)
    assert segmenter.push(Sample(1_000_000, 3000, 0, True, b""), pdt_us=0) == []
    assert segmenter.msn == 8
    assert segmenter.next_serial == 40


def test_samples_that_are_missing_have_parts_and_segments_of_their_own() -> None:
    segmenter = Segmenter(CONFIG)
    before = [chunk for sample in constant(Fraction(30), 16, 60) for chunk in segmenter.push(sample, pdt_us=0)]
    missing = [chunk for _ in range(7) for chunk in segmenter.missing(31_500, pdt_us=0)]
    end = segmenter.end_dts
    after = segmenter.push(Sample(end, 3000, 0, False, b"p"), pdt_us=0)
    after += segmenter.push(Sample(end + 3000, 3000, 0, True, b"k"), pdt_us=0) + segmenter.finish()
    chunks = before + missing + after
    assert all(one.dts + one.duration == two.dts for one, two in itertools.pairwise(chunks))
    gaps = [(chunk.msn, chunk.part) for chunk in chunks if chunk.flags & ChunkFlag.GAP]
    assert gaps == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1)], "none longer than the segment target"
    shown = {(chunk.msn, chunk.part): len(chunk.samples) for chunk in after if chunk.samples}
    assert shown == {(2, 2): 1, (3, 0): 1}, "and a key frame ends the last of them"
    serials = [group[0].serial for group in parts_of(chunks).values()]
    assert serials == list(range(len(serials)))
    assert segmenter.forced_cuts == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 22_500), st.booleans(), st.sampled_from([0, 0, 0, 0, 40, 200_000])),
        min_size=1,
        max_size=120,
    )
)
def test_any_stream(frames: list[tuple[int, bool, int]]) -> None:
    dts, samples = 0, []
    for index, (duration, key, hole) in enumerate(frames):
        dts += hole
        samples.append(Sample(dts, duration, 0, key, index.to_bytes(2, "big")))
        dts += duration
    tapered = CONFIG.replace(tapered=True)
    for config in (CONFIG, tapered):
        check(run(samples, config), config)
    chunks = run(samples, tapered)
    assert [sample.data for chunk in chunks for sample in chunk.samples] == [s.data for s in samples]
    for chunk in chunks:
        times = [(sample.dts, sample.end) for sample in chunk.samples]
        assert all(one[1] == two[0] for one, two in itertools.pairwise(times))
    assert run(samples, tapered) == chunks


@given(
    rate=st.sampled_from(
        [Fraction(24), Fraction(25), Fraction(30), Fraction(30_000, 1001), Fraction(50), Fraction(60)]
    ),
    gop_s=st.floats(1.9, 3.9),
    chunk_target=st.sampled_from([0, 9_000, 13_000]),
    tapered=st.booleans(),
)
def test_the_outlook_is_the_sample_that_completes_something(
    rate: Fraction, gop_s: float, chunk_target: int, tapered: bool
) -> None:
    """From the third segment on, when the length of one is known."""
    config = CONFIG.replace(chunk_target=chunk_target, tapered=tapered)
    gop = int(gop_s * rate)
    samples = constant(rate, 4 * gop, gop)
    segmenter = Segmenter(config)
    expected: int | None = None
    for sample in samples:
        chunks = segmenter.push(sample, pdt_us=0)
        if chunks and chunks[0].msn > 1 and expected is not None:
            assert abs(sample.dts - expected) <= 2
        if chunks:
            last, wait = segmenter.outlook()
            assert last == sample.dts
            expected = last + wait
    assert expected is not None


def test_a_segment_of_one_part_that_is_missing_uses_up_no_serial() -> None:
    """Its header says that it is a gap segment, and those who read it count as it does."""
    config = CONFIG.replace(given_boundaries=True)
    segmenter = Segmenter(config, serial=7)
    chunks = []
    for msn, data in enumerate((b"x", b"", b"x")):
        for sample in (Sample(msn * 6000, 3000, 0, True, data), Sample(msn * 6000 + 3000, 3000, 0, False, data)):
            chunks += segmenter.push(sample, pdt_us=0, msn=msn)
    chunks += segmenter.finish()
    assert [(chunk.msn, chunk.serial) for chunk in chunks] == [(0, 7), (1, 8), (2, 8)]
    missing = chunks[1]._replace(flags=chunks[1].flags | ChunkFlag.GAP).header(epoch=0, init=0)
    assert (missing.is_gap_segment, missing.next_serial) == (True, chunks[2].serial)


def test_the_outlook_on_parts_alone() -> None:
    segmenter = Segmenter(CONFIG)
    assert segmenter.outlook() == (0, 0)
    for sample in constant(Fraction(30), 5, 60):
        segmenter.push(sample, pdt_us=0)
    assert segmenter.outlook(chunks=False) == (12_000, 15_000)
    assert segmenter.outlook() == (12_000, 3_000)


@given(
    st.lists(
        st.tuples(st.sampled_from([1024, 1024, 1024, 2048, 960]), st.sampled_from([0, 0, 0, 0, 700])), max_size=90
    ),
    st.lists(st.integers(1, 30), max_size=8),
    st.sampled_from([0, 4_800]),
    st.booleans(),
)
def test_a_run_is_cut_as_its_samples_are(steps, lengths, chunk_target, tapered):
    config = SegmenterConfig(
        timescale=48_000, part_target=16_800, segment_target=96_000, max_segment=1 << 62, chunk_target=chunk_target,
        tapered=tapered, given_boundaries=True,
    )  # fmt: skip
    samples, dts = [], 48_000
    for duration, hole in steps:
        samples.append(Sample(dts + hole, duration, 0, True, b"x"))
        dts += hole + duration
    one, other = Segmenter(config), Segmenter(config)
    found, expected, at = [], [], 0
    for length in [*lengths, len(samples)]:
        run_of_them, at = samples[at : at + length], at + length
        found += one.push_all(run_of_them, pdt_us=0) if run_of_them else []
        for sample in run_of_them:
            expected += other.push(sample, pdt_us=0)
        assert one.outlook() == other.outlook()
    found, expected = found + one.finish(), expected + other.finish()
    assert [chunk._replace(pdt_us=0) for chunk in found] == [chunk._replace(pdt_us=0) for chunk in expected]
