"""Pictures that a card decodes and scales: the same rungs as with software, whatever the source does."""

import pytest

from appliance.contracts.media import ChunkFlag
from appliance.contracts.transcode import RungMode
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.engines.catalogue import candidates
from edge.transcode.resume import RungPosition
from tests.unit.transcode.encoded_sources import (
    FRAME,
    chunks_of,
    gap_chunk,
    level_of,
    picture_source,
    reordered_source,
)
from tests.unit.transcode.stand_in_card import LARGE, SMALL, Ladder, StandInCard
from tests.unit.transcode.test_transcode_bad_sources import Harm, cut, damaged, dropped, harmed, truncated
from tests.unit.transcode.test_transcode_missing import gaps, stopped
from tests.unit.transcode.test_transcode_sources import levels, samples_of

GOP = 15
CARD_ONLY = {("nv21", 90)}, {("nv21", 44)}


def source(frames: int = 3 * GOP, gop: int = GOP) -> list[SourceChunk]:
    made = picture_source("libx264", frames, gop)
    return chunks_of(made.samples, made.form, segments=range(0, frames, gop))


def seen(ladder: Ladder) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Format and height of what the encoders were given."""
    return set(ladder.seen[LARGE.name]), set(ladder.seen[SMALL.name])


def test_each_rung_is_given_pictures_of_its_size_on_the_card() -> None:
    card = StandInCard()
    ladder = Ladder(card.card()).run(source())
    ladder.assert_whole(3 * GOP, range(0, 3 * GOP, GOP))
    for rung in (LARGE, SMALL):
        keys = [one.dts // FRAME for one in samples_of(ladder.outputs[rung.name]) if one.key]
        assert keys == list(range(0, 3 * GOP, GOP)), "and nowhere else"
    assert seen(ladder) == CARD_ONLY
    assert card.opened() == [(90, True), (44, True)]
    assert ladder.offered == [((160, 90), (1, 1))] * 3


def test_a_card_is_left_alone_without_an_encoder_that_takes_its_pictures() -> None:
    card = StandInCard()
    ladder = Ladder(card.card())
    ladder.engines = {rung.name: candidates(["x264"]) for rung in (LARGE, SMALL)}
    ladder.run(source()).assert_whole(3 * GOP, range(0, 3 * GOP, GOP))
    assert card.opened() == []


def test_reordered_pictures_come_in_order() -> None:
    made = reordered_source(3 * GOP, GOP)
    assert any(sample.cts for sample in made.samples)
    ladder = Ladder(StandInCard().card()).run(chunks_of(made.samples, made.form, segments=range(0, 3 * GOP, GOP)))
    plain = Ladder(None).run(chunks_of(made.samples, made.form, segments=range(0, 3 * GOP, GOP)))
    assert seen(ladder) == CARD_ONLY
    for rung in (LARGE, SMALL):
        assert [one.header for one in ladder.outputs[rung.name]] == [one.header for one in plain.outputs[rung.name]]
    assert len(ladder.numbers()) == 3 * GOP


def test_another_size_and_another_codec_in_mid_stream() -> None:
    """The decoders are opened anew; what the card has no decoder for is decoded in software."""
    card, chunks = StandInCard(), list[SourceChunk]()
    kinds = (("libx264", (320, 180)), ("libx264", (640, 360)), ("libx265", (320, 180)), ("libvpx", (320, 180)))
    for msn, (codec, size) in enumerate(kinds):
        made = picture_source(codec, GOP, GOP, size, start=msn * GOP)
        chunks += chunks_of(made.samples, made.form, segments=[0], first_msn=msn, sequence=100 * msn + 1)
    ladder = Ladder(card.card()).run(chunks)
    assert ladder.numbers() == ladder.numbers(SMALL) == list(range(4 * GOP))
    assert card.opened() == [(90, True), (44, True)] * 3
    assert [name for name, _ in ladder.seen[LARGE.name]] == ["nv21"] * 3 * GOP + ["yuv420p"] * GOP


def test_gaps_of_the_source() -> None:
    first, second = (picture_source("libx264", GOP, GOP, start=start) for start in (0, 2 * GOP))
    chunks = chunks_of(first.samples, first.form, segments=[0])
    chunks.append(gap_chunk(1, GOP * FRAME, GOP * FRAME, 50))
    chunks += chunks_of(second.samples, second.form, segments=[0], first_msn=2, sequence=100)
    ladder = Ladder(StandInCard().card()).run(chunks)
    assert seen(ladder) == CARD_ONLY
    assert ladder.numbers() == ladder.numbers(SMALL) == [*range(GOP), *range(2 * GOP, 3 * GOP)]
    gaps = [one.header.msn for one in ladder.outputs[LARGE.name] if one.header.flags & ChunkFlag.GAP]
    assert gaps == [1]


def place(output: Output) -> tuple[int, int, int, int]:
    return output.header.msn, output.header.part, output.header.serial, output.header.dts


@pytest.mark.parametrize("published", [1, 2, 3, 5])
def test_a_successor_continues_exactly(published: int) -> None:
    whole = Ladder(StandInCard().card(), [LARGE]).run(source()).outputs[LARGE.name]
    last = whole[published - 1]
    rest = [chunk for chunk in source() if chunk.sequence >= last.source_sequence]
    position = RungPosition(last.header, published, last.source_sequence)
    successor = Ladder(StandInCard().card(), [LARGE]).run(rest, {LARGE.name: position})
    after = successor.outputs[LARGE.name]
    assert [place(one) for one in whole[:published] + after] == [place(one) for one in whole]
    assert samples_of(after)[0].key
    assert all(one.data for one in after)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("harm", [damaged, truncated, dropped])
def test_harmed_access_units(codec: str, harm: Harm) -> None:
    """The same frames come as with software, as many are counted, and the card is kept."""
    made = picture_source(codec, GOP * 6, GOP)
    samples = harmed(made, harm, 0.2, seed=7)
    card = StandInCard()
    ladder = Ladder(card.card()).run(cut(samples, made.form))
    plain = Ladder(None).run(cut(samples, made.form))
    assert ladder.numbers() == ladder.numbers(SMALL) == plain.numbers()
    assert ladder.control.damaged == plain.control.damaged
    assert card.opened() == [(90, True), (44, True)]


def test_a_lost_key_frame() -> None:
    made = picture_source("libx264", 3 * GOP, GOP)
    ladder = Ladder(StandInCard().card()).run(cut(made.samples[1:], made.form))
    assert ladder.numbers() == ladder.numbers(SMALL) == list(range(GOP, 3 * GOP))
    assert seen(ladder) == CARD_ONLY


def test_samples_that_are_not_square() -> None:
    made = picture_source("libx264", GOP, GOP, (240, 180))
    ladder = Ladder(StandInCard().card())
    ladder.run(chunks_of(made.samples, made.form._replace(sample_aspect=(4, 3)), segments=[0]))
    ladder.assert_whole(GOP, [0])
    assert seen(ladder) == CARD_ONLY
    assert ladder.offered == [((160, 90), (1, 1))]


@pytest.mark.parametrize("known", [True, False])
def test_a_picture_of_another_shape_or_an_unknown_one_is_fitted_in_by_software(known: bool) -> None:
    card, made = StandInCard(), picture_source("libx264", GOP, GOP, (240, 180))
    form = made.form if known else made.form._replace(sample_aspect=(4, 3), size=(0, 0))
    ladder = Ladder(card.card()).run(chunks_of(made.samples, form, segments=[0]))
    ladder.assert_whole(GOP, [0])
    assert card.opened() == []
    assert ladder.offered == [((240, 180), form.sample_aspect)]


def test_a_paused_rung_has_no_decoder_and_comes_back_at_a_key_frame() -> None:
    card = StandInCard()
    ladder = Ladder(card.card())

    def before(chunk: SourceChunk) -> None:
        paused = chunk.header.msn in (1, 2)
        ladder.control.wanted = {SMALL.name: RungMode.PAUSED if paused else RungMode.RUNNING}

    ladder.run(source(5 * GOP), before=before)
    assert ladder.numbers() == list(range(5 * GOP))
    assert ladder.numbers(SMALL) == [*range(GOP), *range(3 * GOP, 5 * GOP)]
    gaps = {one.header.msn for one in ladder.outputs[SMALL.name] if one.header.flags & ChunkFlag.GAP}
    assert gaps == {1, 2}
    assert card.opened() == [(90, True), (44, True), (44, True)]
    assert [session.fed for session in card.sessions] == [5 * GOP, GOP + 1, 2 * GOP]
    assert seen(ladder) == CARD_ONLY


def test_rungs_that_all_rest_and_wake() -> None:
    card = StandInCard()
    ladder = Ladder(card.card())

    def before(chunk: SourceChunk) -> None:
        mode = RungMode.PAUSED if chunk.header.msn in (1, 2, 3) else RungMode.RUNNING
        ladder.control.wanted = dict.fromkeys((LARGE.name, SMALL.name), mode)

    ladder.run(source(6 * GOP), before=before)
    for rung in (LARGE, SMALL):
        assert ladder.numbers(rung) == [*range(GOP), *range(4 * GOP, 6 * GOP)]
    assert card.opened() == [(90, True), (44, True)] * 2
    assert [session.fed for session in card.sessions] == [GOP + 1, 2 * GOP, 2 * GOP, 2 * GOP]
    assert seen(ladder) == CARD_ONLY


def test_a_rung_that_is_to_come_back_where_there_is_no_key_frame_comes_back_behind_the_next_one() -> None:
    """A key frame each second segment."""
    made = picture_source("libx264", 6 * GOP, 2 * GOP)
    ladder, applied = Ladder(StandInCard().card()), dict[int, RungMode]()

    def before(chunk: SourceChunk) -> None:
        ladder.control.wanted = {SMALL.name: RungMode.PAUSED if chunk.header.msn == 2 else RungMode.RUNNING}
        applied[chunk.header.msn - (chunk.header.part == 0)] = ladder.control.applied.get(
            SMALL.name, RungMode.RUNNING
        )

    ladder.run(chunks_of(made.samples, made.form, segments=range(0, 6 * GOP, GOP)), before=before)
    assert ladder.numbers() == list(range(6 * GOP))
    assert ladder.numbers(SMALL) == [*range(2 * GOP), *range(4 * GOP, 6 * GOP)]
    assert [applied[msn] for msn in range(5)] == [
        RungMode.RUNNING, RungMode.RUNNING, RungMode.PAUSED, RungMode.PAUSED, RungMode.RUNNING,
    ]  # fmt: skip


def test_the_last_picture_is_shown_on_while_the_source_has_none() -> None:
    card = StandInCard()
    ladder = Ladder(card.card()).run(stopped(30).chunks)
    for rung in (LARGE, SMALL):
        outputs = ladder.outputs[rung.name]
        assert gaps(outputs) == []
        shown = levels(samples_of(outputs), ladder.configs[rung.name])
        still = [
            level for sample, level in zip(samples_of(outputs), shown, strict=True)
            if 30 * FRAME <= sample.dts < 60 * FRAME
        ]  # fmt: skip
        assert max(still) - min(still) <= 2
        assert abs(still[0] - level_of(29)) <= 6
    assert card.opened() == [(90, True), (44, True)], "the same decoders go on"
