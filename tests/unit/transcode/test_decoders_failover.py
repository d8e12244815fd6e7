"""A card that fails, or its encoders: pictures go on from elsewhere, and none is missing."""

import av.error
import pytest
from av.video.frame import VideoFrame

from appliance.contracts.media import ChunkFlag
from edge.transcode import encoding
from edge.transcode.decoders.base import VideoPacket
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.hardware import HardwareEngine
from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.x264 import X264
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, gap_chunk, picture_source
from tests.unit.transcode.stand_in_card import ENCODER, LARGE, SMALL, Ladder, StandInCard, StandInSession, failing
from tests.unit.transcode.test_decoders_card import GOP, source
from tests.unit.transcode.test_transcode_sources import samples_of


class Failing(StandInSession):
    """The small one's fails in the middle of the second segment."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        if self.size[1] == 44 and packet is not None and packet.pts == (GOP + 7) * FRAME:
            raise failing(av.error.ExternalError)
        return super().decode(packet)


class Silent(StandInSession):
    """Gives nothing any more after some pictures."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        frames = super().decode(packet)
        return frames if self.fed < 20 else []


class Refusing(StandInSession):
    """There is no such decoder."""

    def __init__(self, *_: object) -> None:
        raise failing(av.error.PermissionError)


class Wrong(StandInSession):
    """Pays no attention to the size."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        self.size = 64, 36
        return super().decode(packet)


@pytest.mark.parametrize("session", [Failing, Silent, Refusing, Wrong])
def test_a_card_that_fails_is_followed_by_software_without_a_frame_missing(session: type[StandInSession]) -> None:
    card = StandInCard(session)
    gop = 4 * GOP
    ladder = Ladder(card.card()).run(source(2 * gop, gop) if session is Silent else source())
    ladder.assert_whole(2 * gop if session is Silent else 3 * GOP, [0])
    assert len(card.sessions) <= 2, "it is not tried again"
    formats = [name for name, _ in ladder.seen[LARGE.name]]
    assert formats[-1] == "yuv420p"
    if session is Failing:
        assert formats == ["nv21"] * (GOP + 7) + ["yuv420p"] * (2 * GOP - 7)


def test_a_card_without_the_format_of_the_source() -> None:
    """4:2:2: what comes is no picture that the encoder could take."""
    card = StandInCard()
    made = picture_source("libx264", 2 * GOP, GOP, pixels="yuv422p")
    ladder = Ladder(card.card()).run(chunks_of(made.samples, made.form, segments=[0, GOP]))
    ladder.assert_whole(2 * GOP, [0, GOP])
    assert len(card.sessions) == 2
    assert {name for name, _ in ladder.seen[LARGE.name]} == {"yuv420p"}, "software made all of them"


def test_a_card_that_has_failed_is_not_tried_again() -> None:
    """Not behind a gap either, where decoders are opened anew."""
    card = StandInCard(Failing)
    second = picture_source("libx264", GOP, GOP, start=4 * GOP)
    chunks = [*source(), gap_chunk(3, 3 * GOP * FRAME, GOP * FRAME, 50)]
    chunks += chunks_of(second.samples, second.form, segments=[0], first_msn=4, sequence=100)
    ladder = Ladder(card.card()).run(chunks)
    assert ladder.numbers() == [*range(3 * GOP), *range(4 * GOP, 5 * GOP)]
    assert len(card.sessions) == 2


def test_a_card_that_fails_late_in_a_gop_without_end() -> None:
    """What was given to it since the key frame is too much to decode again: software waits for the next one."""

    class Late(StandInSession):
        def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
            if self.fed == 320:
                raise failing(av.error.ExternalError)
            return super().decode(packet)

    made = picture_source("libx264", 360, 345)
    chunks = chunks_of(made.samples, made.form, segments=[0, 345])
    ladder = Ladder(StandInCard(Late).card()).run(chunks)
    assert ladder.numbers() == [*range(320), *range(345, 360)]


class Dying(HardwareEngine):
    """Its driver gives up at the 20th frame."""

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        if frame.pts == 20 * FRAME:
            raise EngineError("the driver is gone")
        return super().encode(frame, key, sample_aspect)


class Watched(X264):
    """x264 that notes what it is given."""

    def __init__(self, form: RungFormat, noted: list[tuple[str, int]]) -> None:
        super().__init__(form)
        self._noted = noted

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        self._noted.append((frame.format.name, frame.height))
        return super().encode(frame, key, sample_aspect)


def dying(noted: list[tuple[str, int]]) -> list[Candidate]:
    return [
        Candidate("dying", lambda form: Dying(ENCODER, form)),
        Candidate("x264", lambda form: Watched(form, noted)),
    ]


def test_an_encoder_on_the_card_that_fails_is_followed_by_one_that_gets_pictures_in_system_memory() -> None:
    """Those that are on the card until the next key frame too; the other rung stays on the card."""
    card = StandInCard()
    ladder = Ladder(card.card())
    ladder.engines = {LARGE.name: dying(ladder.seen[LARGE.name])}
    ladder.run(source(6 * GOP)).assert_whole(6 * GOP, range(0, 6 * GOP, GOP))
    assert ladder.seen[SMALL.name] == [("nv21", 44)] * 6 * GOP
    mine = ladder.seen[LARGE.name]
    until = mine.count(("nv21", 90))
    assert mine == [("nv21", 90)] * until + [("nv12", 90)] * (len(mine) - until)
    assert len(mine) == 6 * GOP - 20
    assert 0 < until < len(mine)
    assert card.opened() == [(90, True), (44, True), (90, False)]


def test_without_an_encoder_on_the_card_decoding_goes_on_in_software() -> None:
    card = StandInCard()
    ladder = Ladder(card.card())
    ladder.engines = {rung.name: dying(ladder.seen[rung.name]) for rung in (LARGE, SMALL)}
    ladder.run(source(6 * GOP)).assert_whole(6 * GOP, range(0, 6 * GOP, GOP))
    assert all(formats[-1][0] == "yuv420p" for formats in ladder.seen.values())
    assert [one for one in card.opened() if one[1]] == [(90, True), (44, True)]


def test_pictures_that_a_dead_card_does_not_give_out_are_gaps_and_the_broadcast_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(frame: VideoFrame) -> VideoFrame:
        if frame.format.name == "nv21":
            raise failing(av.error.ExternalError)
        return frame

    monkeypatch.setattr(encoding, "in_memory", lost)
    ladder = Ladder(StandInCard().card())
    ladder.engines = {LARGE.name: dying(ladder.seen[LARGE.name])}
    ladder.run(source(6 * GOP))
    numbers = ladder.numbers()
    missing = sorted({*range(6 * GOP)} - {*numbers})
    assert missing == list(range(missing[0], missing[-1] + 1)), "one hole"
    assert missing[0] <= 20 <= missing[-1]
    gaps = sum(o.header.duration for o in ladder.outputs[LARGE.name] if o.header.flags & ChunkFlag.GAP)
    assert gaps == len(missing) * FRAME
    assert set(ladder.seen[LARGE.name]) == {("nv12", 90)}
    samples = samples_of(ladder.outputs[LARGE.name])
    assert next(one for one in samples if one.dts // FRAME > missing[-1]).key
    assert ladder.numbers(SMALL) == list(range(6 * GOP))
