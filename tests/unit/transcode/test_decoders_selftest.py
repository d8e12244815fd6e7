"""The self-test of zero copy, on a stand-in for the card; and what becomes of its result."""

import json

import pytest
from av.video.frame import VideoFrame

from appliance.cli import main
from edge.transcode.decoders.base import VideoPacket
from edge.transcode.decoders.selftest import zero_copy_test
from edge.transcode.engines import catalogue, probe
from edge.transcode.engines.choice import ZERO_COPY, SelfTest
from edge.transcode.forms import VideoForm
from tests.unit.transcode.encoded_sources import grey
from tests.unit.transcode.stand_in_card import ENCODER, StandInCard, StandInSession
from tests.unit.transcode.test_decoders_failover import Refusing, Wrong


def test_a_card_that_keeps_every_promise() -> None:
    card = StandInCard()
    test = zero_copy_test(card.card(), ENCODER)
    assert (test.engine, test.usable, test.reason) == ("nvenc (zero copy)", True, "")
    assert test.frames_per_s > 0
    assert card.opened() == [(720, True), (360, True)] * 2 + [(360, True), (360, False)]


class Lossy(StandInSession):
    """Loses a picture."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        return super().decode(packet)[: 0 if self.fed == 4 else None]


class Unordered(StandInSession):
    """Gives pictures as they are decoded, not as they are shown."""

    def __init__(self, form: VideoForm, size: tuple[int, int], on_card: bool) -> None:
        super().__init__(form, size, on_card)
        self._times: list[int] = []

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        if packet is not None:
            self._times.append(packet.pts or 0)
        frames = super().decode(packet)
        for frame in frames:
            frame.pts = self._times.pop(0)
        return frames


class Dark(StandInSession):
    """Shows something else."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        return [self._scaled(grey((64, 36), 16, frame.pts or 0)) for frame in super().decode(packet)]


class Late(StandInSession):
    """Holds back everything until the end."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        self._held = [*getattr(self, "_held", []), *super().decode(packet)]
        return [] if packet is not None else self._held


class OnlyOnCard(StandInSession):
    """Pictures for system memory are not what they say."""

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        self.on_card = True
        return super().decode(packet)


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (Refusing, "a decoder for 720p does not open"),
        (Wrong, "pictures of 64x36"),
        (Lossy, "11 access units for 12 frames"),
        (Dark, "picture 0 shows 16 instead of 40"),
        (Late, "more than 4 frames late"),
        (Unordered, "access units for 12 frames"),
        (OnlyOnCard, "pictures of the format nv21"),
    ],
)
def test_a_card_that_breaks_a_promise(session: type[StandInSession], reason: str) -> None:
    test = zero_copy_test(StandInCard(session).card(), ENCODER)
    assert not test.usable
    assert reason in test.reason


def test_without_a_driver_the_child_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    if not catalogue.no_zero_copy():
        pytest.skip("this machine has an NVIDIA device")
    assert probe.probe(ZERO_COPY).reason == "there is no NVIDIA device"
    monkeypatch.setattr(probe, "no_zero_copy", lambda: "")
    test = probe.probe(ZERO_COPY)
    assert test.engine == ZERO_COPY
    assert "does not open" in test.reason


class Found(probe.SelfTests):
    """Self-tests that were made before."""

    def __init__(self, *tests: SelfTest) -> None:
        super().__init__()
        self._known = {test.engine: test for test in tests}


@pytest.mark.parametrize("usable", [True, False])
def test_only_nvenc_is_tried_for_zero_copy(usable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Found(SelfTest(engine=ZERO_COPY, usable=usable))
    assert probe.passes_zero_copy(("nvenc", "x264"), tests) is usable
    monkeypatch.setattr(probe, "probe", lambda name: pytest.fail(f"{name} was tried"))
    assert not probe.passes_zero_copy(("qsv", "x264"), Found())


def test_the_doctor_tells_of_zero_copy_with_nvenc(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "encoders", "--engine", "nvenc", "--json"])
    assert [one["engine"] for one in json.loads(capsys.readouterr().out)] == ["nvenc", ZERO_COPY]
